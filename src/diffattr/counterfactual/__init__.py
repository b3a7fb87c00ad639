"""The counterfactual evaluation: train without a query's top images, draw the query again.

If a method is right, the image that the model makes from the same noise changes more, and its
denoising loss rises more, than after removing as many images at random. Removing opponents is a
control: the loss should fall.
Source: Zheng et al., "Intriguing properties of data attribution on diffusion models" (ICLR 2024),
sec. 5.3; the paired statistics are ours.
"""
