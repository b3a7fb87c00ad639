"""Training one model, or a stack of models, on subsets of the training set.

`batches` yields each step's inputs, `stack` holds the models, `state` saves and resumes, `loop`
trains.

Randomness is keyed by (seed, epoch, image), not by the member: models of one seed start from the
same weights and see the images that they share in the same order and under the same noise. With
these common random numbers, models differ only by their subsets. Since no draw depends on earlier
ones, training can resume at any step.
"""

from diffattr.diffusion.training.batches import TrainingSet
from diffattr.diffusion.training.loop import train
