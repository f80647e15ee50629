"""The short name of gan_infer.provenance.c2pa."""

from gan_infer.provenance.c2pa import *  # noqa: F403
