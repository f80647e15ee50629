"""The command line `gan-infer`; each command is a file in `commands`."""

from __future__ import annotations

from typing import Final

import click

from gan_infer import __version__, console

_COMMANDS: Final = (
    "grid",
    "sample",
    "edit",
    "walk",
    "morph",
    "verify",
    "score",
    "info",
    "check",
    "models",
    "doctor",
)


@click.group(
    cls=console.Commands,
    package="gan_infer.commands",
    names=_COMMANDS,
    extensions="gan_infer.commands",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="gan-infer")
def cli() -> None:
    """Make pictures with an exported generator. Add --debug for tracebacks."""


def main() -> None:
    """Run the command line."""
    console.run(cli, "gan-infer")
