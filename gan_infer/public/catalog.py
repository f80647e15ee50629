"""The short name of gan_infer.modelfile.catalog."""

from gan_infer.modelfile.catalog import *  # noqa: F403
