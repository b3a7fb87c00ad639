"""Features: gradients of output functions, averaged over timesteps, projected."""
