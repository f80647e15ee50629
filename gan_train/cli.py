"""The command line of training; each command is a file of `commands`."""

from __future__ import annotations

import importlib.util
from typing import Final

import click

from gan_infer import __version__, console
from gan_infer.errors import GanError
from gan_train import interruption

_COMMANDS: Final = ("fit", "evaluate", "export", "directions", "invert", "data", "presets")
_NEEDED: Final = ("torch", "onnx", "onnxscript", "safetensors", "rich", "torchmetrics")


@click.group(
    cls=console.Commands,
    package="gan_train.commands",
    names=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="gan-train")
def cli() -> None:
    """Train a generator on pictures, measure it, export it. Add --debug for tracebacks."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise GanError(
            f"training needs {', '.join(missing)}, not installed here; "
            "install with: pip install 'ganforge[train]'"
        )


def main() -> None:
    """Run the command line."""
    with interruption.handle():
        try:
            console.run(cli, "gan-train")
        except SystemExit as end:
            if interruption.is_requested():
                interruption.leave(end.code)
            raise
