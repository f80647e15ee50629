"""The short name of gan_infer.modelfile.reading."""

from gan_infer.modelfile.reading import *  # noqa: F403
