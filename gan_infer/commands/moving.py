"""What `gan-infer walk` and `morph` share: writing frames as an animation or as a sheet."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gan_infer import console
from gan_infer.commands import shared
from gan_infer.errors import OptionError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from gan_infer.provenance.record import Provenance

    # Returns a number of frames, uint8 [n, height, width, channels].
    Draw = Callable[[int], npt.NDArray[np.uint8]]

_LONGEST_S: Final = 600.0
# Pictures smaller than this are enlarged by whole factors, because players blur small ones.
_AT_LEAST: Final = 128

_OPTIONS: Final = (
    click.option(
        "--seconds",
        type=console.FloatRange(0, _LONGEST_S, min_open=True),
        default=6.0,
        show_default=True,
        help="The duration, until it repeats.",
    ),
    click.option(
        "--rate",
        type=click.IntRange(1, 50),
        default=25,
        show_default=True,
        help="Frames per second.",
    ),
    click.option(
        "--sheet",
        type=click.IntRange(2, 10_000),
        help="Write this number of frames side by side, as one picture, instead of an animation.",
    ),
    click.option(
        "--scale", type=click.IntRange(1, 64), help="How often to repeat each pixel, in both directions."
    ),
    shared.provenance,
    click.option(
        "--to",
        type=console.FilePath(),
        required=True,
        help="The file to write: .gif, .webp, .png (animated) or .mp4.",
    ),
)


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that `write` takes to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check(to: Path, sheet: int | None, seconds: float, rate: int) -> None:
    """Check the name of the file and the number of frames before the work.

    Raises:
        OptionError: the ending is not one of a known format, or not for a sheet; the file cannot be
            written; or there are too many frames.
    """
    from gan_infer import files
    from gan_infer.outputs import animation, image

    if sheet is None:
        animation.format_of(to)
        if (frames := _count(seconds, rate)) > animation.MAX_FRAMES:
            raise OptionError(
                f"{seconds:g} seconds of {rate} frames are {frames:,} frames; at most "
                f"{animation.MAX_FRAMES:,} fit in a file, so give a smaller --seconds or --rate"
            )
    elif to.suffix.lower() == ".mp4":
        raise OptionError(f"{to} cannot hold a sheet; give one of {', '.join(image.FORMATS)}")
    else:
        image.format_of(to)
    files.check_writable(to)


def write(
    draw: Draw,
    shape: tuple[int, int, int],
    to: Path,
    seconds: float,
    rate: int,
    sheet: int | None,
    scale: int | None,
    record: Provenance | None = None,
) -> None:
    """Write the frames that `draw` returns, of `shape`, as an animation or as a sheet.

    `record` says where they come from; their number, rate and size are added here.
    """
    from gan_infer.outputs import animation, image

    smallest = _AT_LEAST if sheet is None else 64
    factor = scale or image.factor_for(shape[0], shape[1], smallest)
    columns = 0 if sheet is None else min(sheet, 16)
    if sheet is None:
        image.check_side(shape[0] * factor, shape[1] * factor, animation.format_of(to))
    else:
        image.check_sheet(-(-sheet // columns), columns, shape, factor, image.format_of(to))
    frames = draw(sheet or _count(seconds, rate))
    if record is not None:
        more = {**record.more, "steps": len(frames), **({"rate": rate} if sheet is None else {})}
        record = dataclasses.replace(record, columns=columns, scale=factor, more=more)
    if sheet is None:
        animation.write((image.enlarge(frame, factor) for frame in frames), to, rate, record)
    else:
        image.save(image.enlarge(image.tile(frames, columns), factor), to, record)
    console.echo(to)


def _count(seconds: float, rate: int) -> int:
    return max(2, round(seconds * rate))
