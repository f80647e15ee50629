"""Train GANs on any pictures and export their generators; needs the extra `train`."""
