"""What several commands share: the options that name a model and a class, and loading it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gan_infer import catalog

if TYPE_CHECKING:
    from gan_infer.generator import Generator

model = click.option(
    "--model",
    default=catalog.DEFAULT,
    show_default=True,
    help="A model file, or the name of a shipped model.",
)
device = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1.")
label = click.option("--label", help="A class, by name or index, or a mix: 4:0.7,9:0.3.")
psi = click.option(
    "--psi",
    type=float,
    default=1.0,
    show_default=True,
    help="Truncation, 0 to 2: below 1 gives surer, less varied pictures.",
)


def load(model: str, device: str) -> Generator:
    """Load a model for a command."""
    from gan_infer.generator import Generator

    return Generator.load(model, device=device)
