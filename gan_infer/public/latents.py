"""The short name of gan_infer.latent.seeds."""

from gan_infer.latent.seeds import *  # noqa: F403
