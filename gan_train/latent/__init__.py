"""What a trained generator's latents mean: attributes, directions, inversion."""
