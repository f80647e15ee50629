"""What several commands share: options for a model and its conditions, and loading the model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gan_infer import console
from gan_infer.errors import OptionError
from gan_infer.modelfile import catalog
from gan_infer.text.escaping import abridge

if TYPE_CHECKING:
    from gan_infer.models.critic import Critic
    from gan_infer.models.generator import Generator

model = click.option(
    "--model",
    default=catalog.DEFAULT,
    show_default=True,
    help="A model file, or the name of a shipped model.",
)
_DEVICE: Final = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:1."
)
_TRUST: Final = f"{__name__}.trust"


def _remember_trust(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    context.meta[_TRUST] = value


trust = click.option(
    "--trust",
    is_flag=True,
    expose_value=False,
    callback=_remember_trust,
    help="Open your own model file without running it first in a process with limits.",
)


def is_trusted() -> bool:
    """Return whether the running command has the option --trust."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_TRUST))


def device(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options --device and --trust to a command."""
    return _DEVICE(trust(command))


_LABEL: Final = click.option(
    "--label", help="A class, by name or index (name:7 or index:7 says which), or a mix: 4:0.7,9:0.3."
)
condition = click.option(
    "--condition",
    "named",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another condition of the model, by the name of its input, like age=60; may be repeated.",
)


def conditions(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for conditions to a command, which gets them as `given`: name -> text."""

    @functools.wraps(command)
    def with_given(*, label: str | None, named: tuple[str, ...], **others: Any) -> Any:
        return command(given=read_given(label, named), **others)

    return _LABEL(condition(with_given))


def conditions_of_ends(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add options for two classes, and for other conditions, to a command, which gets them as `given`."""

    @functools.wraps(command)
    def with_given(*, first: str, last: str, named: tuple[str, ...], **others: Any) -> Any:
        given = read_given(None, named)
        if "label" in given:
            raise OptionError("--condition gave a label, besides --from-label and --to-label; leave it out")
        return command(given={**given, "label": [first, last]}, **others)

    described = "A class, by name or index, or a mix."
    first = click.option("--from-label", "first", required=True, help=described)
    last = click.option("--to-label", "last", required=True, help=described)
    return first(last(condition(with_given)))


def read_given(label: str | None, named: tuple[str, ...]) -> dict[str, Any]:
    """Return condition name -> text.

    Raises:
        OptionError: one is not written as NAME=VALUE, or given twice.
    """
    given: dict[str, Any] = {} if label is None else {"label": label}
    for each in named:
        name, equals, value = each.partition("=")
        if not equals or not name or name in given:
            raise OptionError(f"--condition was {abridge(each)}; write it like age=60, each name once")
        given[name] = value
    return given


def check_names(model: Generator | Critic, given: Iterable[str]) -> None:
    """Check that a model takes conditions of these names, which may be those of a method's own arguments.

    Raises:
        OptionError: it has no such condition.
    """
    model.metadata.conditions().know(given)


def with_class(given: Mapping[str, Any], generator: Generator, found: int | None) -> dict[str, Any]:
    """Return the conditions, with the class of an index if no class is given and the index is known."""
    if found is None or "label" in given:
        return dict(given)
    known = generator.class_names
    return {**given, "label": known[found] if 0 <= found < len(known) else f"index:{found}"}


def say_what_is_left(given: Mapping[str, Any], rows: int | None, down: int, classes: int) -> None:
    """Say that a sheet with a row per class does not show all classes."""
    if "label" not in given and rows is None and down < classes:
        console.say(
            f"rows are the first {down:,} of {classes:,} classes; choose another by --label, or give --rows "
            "and --cols, and --seeds, whose classes follow one another"
        )


psi = click.option(
    "--psi",
    type=float,
    default=1.0,
    show_default=True,
    help="Truncation, 0 to 2: below 1 gives more typical, less varied pictures.",
)

provenance = click.option(
    "--provenance/--no-provenance",
    "provenance",
    default=True,
    help="Write into the file that it is generated, and by which model, seeds and labels.  [default: yes]",
)

sign = click.option(
    "--sign",
    nargs=2,
    type=console.FilePath(),
    metavar="CERTIFICATES KEY",
    help="Sign the file by C2PA, with PEM files (needs the extra c2pa).",
)


def _join(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> str | None:
    """Return the values of an option that may be repeated, as lines of one text."""
    return "\n".join(values) or None


_FOREIGN: Final = (
    click.option("--latent-input", help="Of a foreign model file: the input that takes latents."),
    click.option("--label-input", help="Of a foreign model file: the input that takes labels."),
    click.option("--output", help="Of a foreign model file: the output that is the picture."),
    click.option("--classes", "class_names", help="Of a foreign model file: its classes: cat,dog,owl."),
    click.option(
        "--value-range",
        type=click.Choice(["-1:1", "0:1", "0:255"]),
        help="Of a foreign model file: its values for black and white.",
    ),
    click.option(
        "--image-shape",
        metavar="28x28x1",
        help="Of a foreign model file: the order of a picture's values, 28x28x1 or 3x32x32.",
    ),
    click.option(
        "--set",
        "set_inputs",
        multiple=True,
        callback=_join,
        metavar="NAME=VALUE",
        help="Of a foreign model file: an input that stays constant, psi=0.7 or c=1,0,0; may be repeated.",
    ),
)


def foreign(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for model files of other tools to a command; `load` takes them by keyword."""
    for option in reversed(_FOREIGN):
        command = option(command)
    return command


def signer(sign: tuple[Path, Path] | None) -> Callable[[bytes, str], bytes] | None:
    """Return the signer for the value of --sign; None without it."""
    if sign is None:
        return None
    from gan_infer.provenance.c2pa import Signer

    return Signer(*sign)


def load(model: str, device: str, **foreign: str | None) -> Generator:
    """Load a model for a command; `foreign` has the values of those options."""
    from gan_infer.models.generator import Generator

    generator = Generator.load(model, device=device, trust=is_trusted(), **parse_foreign(foreign))
    if generator.file_note:
        console.say(f"note: {generator.file_note}")
    return generator


def load_for_pictures(model: str, device: str, **foreign: str | None) -> Generator:
    """Load a model for a command that writes pictures, as `load`.

    Raises:
        OptionError: it makes no pictures.
    """
    generator = load(model, device, **foreign)
    if not any(generator.image_shape):
        kind = generator.metadata.outputs[0].kind
        name = generator.name
        generator.close()
        raise OptionError(f"model {name!r} makes {kind}, no pictures; give another, or use it in Python")
    return generator


def parse_foreign(options: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the options of `foreign` that were given, as `Generator.load` takes them.

    Raises:
        OptionError: one is not written correctly.
    """
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    if "class_names" in given:
        given["class_names"] = [name.strip() for name in given["class_names"].split(",")]
    if "value_range" in given:
        low, high = given["value_range"].split(":")
        given["value_range"] = (float(low), float(high))
    if "image_shape" in given:
        given["image_shape"] = _parse_sides(given["image_shape"])
    if "set_inputs" in given:
        given["set_inputs"] = _parse_settings(given["set_inputs"])
    return given


def _parse_sides(text: str) -> tuple[int, ...]:
    parts = text.lower().split("x")
    if len(parts) not in (2, 3) or not all(part.isascii() and part.isdigit() for part in parts):
        raise OptionError(f"--image-shape was {text!r}; write it like 28x28, 32x32x3 or 3x32x32")
    return tuple(map(int, parts))


def _parse_settings(lines: str) -> dict[str, list[float]]:
    settings: dict[str, list[float]] = {}
    for line in lines.split("\n"):
        name, equals, value = line.rpartition("=")
        if not equals or not name or name in settings:
            raise OptionError(f"--set was {line!r}; write it like psi=0.7, each name once")
        settings[name] = [_parse_number(part.strip(), line) for part in value.split(",") if value.strip()]
    return settings


def _parse_number(text: str, line: str) -> float:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        raise OptionError(
            f"--set was {line!r}; write a number, true or false, or several separated by commas, like psi=0.7"
        ) from None
