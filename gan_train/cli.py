"""The command line of training, put together; each command is a file of `commands`."""

from __future__ import annotations

import importlib.util
from typing import Final

import click

from gan_infer import __version__, console
from gan_infer.errors import GanError
from gan_train.commands.data import data
from gan_train.commands.directions import directions
from gan_train.commands.evaluate import evaluate
from gan_train.commands.export import export
from gan_train.commands.fit import fit
from gan_train.commands.invert import invert
from gan_train.commands.presets import presets

_NEEDED: Final = ("torch", "onnx", "onnxscript", "safetensors", "rich", "torchmetrics")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gan-train")
def cli() -> None:
    """Train a generator on pictures, measure it, export it. Add --debug for tracebacks."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise GanError(
            f"training needs {', '.join(missing)}, not installed here; "
            "install with: pip install 'ganforge[train]'"
        )


for command in (fit, evaluate, export, directions, invert, data, presets):
    cli.add_command(command)


def main() -> None:
    """Run the command line."""
    console.run(cli, "gan-train")
