"""The diffusion model: its network, training, sampling and denoising losses."""
