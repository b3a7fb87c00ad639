"""A benchmark for training-data attribution in diffusion models."""

__version__ = "0.1.0"
