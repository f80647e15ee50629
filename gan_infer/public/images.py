"""The short name of gan_infer.outputs.image."""

from gan_infer.outputs.image import *  # noqa: F403
