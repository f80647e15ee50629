"""The short name of gan_infer.outputs.animation."""

from gan_infer.outputs.animation import *  # noqa: F403
