"""Where a picture comes from: the record in its file, and signatures."""

from gan_infer.provenance.record import *  # noqa: F403
