"""The command line of the SDK, put together; each command is a file of `commands`."""

from __future__ import annotations

import click

from gan_infer import __version__, console
from gan_infer.commands.doctor import doctor
from gan_infer.commands.edit import edit
from gan_infer.commands.grid import grid
from gan_infer.commands.info import info
from gan_infer.commands.models import models
from gan_infer.commands.morph import morph
from gan_infer.commands.sample import sample
from gan_infer.commands.score import score
from gan_infer.commands.verify import verify
from gan_infer.commands.walk import walk


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gan-infer")
def cli() -> None:
    """Make pictures with an exported generator. Add --debug for tracebacks."""


for command in (grid, sample, edit, walk, morph, verify, score, info, models, doctor):
    cli.add_command(command)


def main() -> None:
    """Run the command line."""
    console.run(cli, "gan-infer")
