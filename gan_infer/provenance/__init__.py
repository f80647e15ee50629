"""Records in picture files of where the pictures come from, and signatures."""

from gan_infer.provenance.record import *  # noqa: F403
