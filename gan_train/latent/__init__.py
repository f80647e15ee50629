"""Explores a trained generator's latents: attributes, directions, inversion."""
