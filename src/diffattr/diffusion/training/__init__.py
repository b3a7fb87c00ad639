"""Training one model, or a stack of models, on subsets of the training set.

`batches` says what a step sees, `stack` holds the models, `state` saves and resumes, `loop` trains.

Randomness is keyed by (seed, epoch, image), not by the member: models of one seed start from the
same weights, visit the images that they share in the same order, and see them under the same noise.
These common random numbers leave the choice of the subset as the only difference between them.
Since nothing depends on what was drawn before, training can resume at any step.
"""

from diffattr.diffusion.training.batches import TrainingSet
from diffattr.diffusion.training.loop import train
