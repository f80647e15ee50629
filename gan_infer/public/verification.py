"""The short name of gan_infer.apps.verification."""

from gan_infer.apps.verification import *  # noqa: F403
