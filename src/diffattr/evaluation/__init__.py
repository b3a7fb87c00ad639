"""Evaluation: how well scores predict what retraining does, and with what confidence."""
