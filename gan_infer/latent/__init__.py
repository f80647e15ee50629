"""Latents: from seeds, by interpolation, along directions."""
