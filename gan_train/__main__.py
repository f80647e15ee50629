"""Makes `python -m gan_train` the same as `gan-train`."""

from gan_train.cli import main

main()
