"""Short names of modules that apps use: gan_infer.images is gan_infer.outputs.image."""
