"""Makes `python -m gan_infer` the same as `gan-infer`."""

from gan_infer.cli import main

main()
