"""What several commands share: the options that name a model and a class, and loading it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gan_infer import catalog, console

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

provenance = click.option(
    "--provenance/--no-provenance",
    "provenance",
    default=True,
    help="Say in the file that it is generated, and by which model, seeds and labels.  [default: say it]",
)

sign = click.option(
    "--sign",
    nargs=2,
    type=console.FilePath(),
    metavar="CERTIFICATES KEY",
    help="Sign by C2PA, with PEM files (needs the extra c2pa).",
)

_FOREIGN: Final = (
    click.option("--latent-input", help="Of a foreign model file: the input that takes latents."),
    click.option("--label-input", help="Of a foreign model file: the input that takes labels."),
    click.option("--output", help="Of a foreign model file: the output that is the picture."),
    click.option("--classes", "class_names", help="Of a foreign model file: its classes: cat,dog,owl."),
    click.option(
        "--value-range",
        type=click.Choice(["-1:1", "0:1", "0:255"]),
        help="Of a foreign model file: what it gives for black and white.",
    ),
)


def foreign(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options for model files of other tools; `load` takes them by keyword."""
    for option in reversed(_FOREIGN):
        command = option(command)
    return command


def signer(sign: tuple[Path, Path] | None) -> Callable[[bytes, str], bytes] | None:
    """Give what signs files, for the value of that option."""
    if sign is None:
        return None
    from gan_infer.signing import Signer

    return Signer(*sign)


def load(model: str, device: str, **foreign: str | None) -> Generator:
    """Load a model for a command; `foreign` are the options of that decorator."""
    from gan_infer.generator import Generator

    given: dict[str, Any] = {name: value for name, value in foreign.items() if value is not None}
    if "class_names" in given:
        given["class_names"] = [name.strip() for name in given["class_names"].split(",")]
    if "value_range" in given:
        low, high = given["value_range"].split(":")
        given["value_range"] = (float(low), float(high))
    return Generator.load(model, device=device, **given)
