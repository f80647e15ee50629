"""Writes frames as animated GIF, WebP, PNG and MP4 files."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer import arguments, files
from gan_infer.errors import OptionError
from gan_infer.outputs import image
from gan_infer.text.escaping import abridge

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image

    from gan_infer.provenance.record import Provenance

    Frame = npt.NDArray[np.uint8]

FORMATS: Final = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG", ".mp4": "MP4"}
# Browsers slow down a GIF with a higher rate.
MAX_RATE: Final = 50
MAX_FRAMES: Final = 20_000


def write(
    frames: Iterable[Frame],
    target: str | os.PathLike[str],
    rate: float = 25.0,
    provenance: Provenance | None = None,
) -> None:
    """Write an animation that repeats for ever, whole or not at all; the suffix selects the format.

    GIF, WebP and PNG keep every pixel, but a GIF in colour has only 256 colours per frame, and fewer
    with transparency; a PNG shows its first frame where animated PNG is not supported. MP4 is H.264,
    which is lossy; transparent pixels are put on black there. Frames are read one after another; WebP and MP4
    hold only one in memory.

    Args:
        frames: uint8 [height, width, channels], all of one shape; at least one, at most MAX_FRAMES.
        rate: frames per second, over 0, at most MAX_RATE. In a GIF the time per frame is rounded to
            hundredths of a second.
        provenance: where the frames come from, to be stored in the file; an MP4 cannot store it.

    Raises:
        OptionError: the suffix is not one of FORMATS, the rate is out of range, there are no frames or
            too many, they are too large for the format, the path cannot be written, or an MP4 is
            requested and its writer is missing or fails.
    """
    path = arguments.path(target, "target")
    kind = format_of(path)
    is_number = isinstance(rate, (int, float, np.integer, np.floating)) and not isinstance(rate, bool)
    if not is_number or not 0 < rate <= MAX_RATE:
        raise OptionError(
            f"a rate of {abridge(rate)} frames per second was given; give one over 0, at most {MAX_RATE}"
        )
    try:
        rest = iter(frames)
    except TypeError:
        raise OptionError(f"frames were {abridge(frames)}; give pictures, uint8 arrays") from None
    first = next(rest, None)
    if first is None:
        raise OptionError("no frames were given; give at least one")
    arguments.picture(first, "a frame")
    image.check_side(first.shape[0], first.shape[1], kind)
    with files.stage(path) as part:
        _WRITERS[kind](_check_frames(itertools.chain([first], rest), first.shape), first.shape, part, rate)
        if provenance is not None and kind != "MP4":
            from gan_infer.provenance.record import embed

            part.write_bytes(embed(part.read_bytes(), provenance))


def format_of(path: str | os.PathLike[str]) -> str:
    """Return the format of an animation, by the suffix of its path.

    Raises:
        OptionError: the suffix is not one of FORMATS, or is that of MP4 and its writer is missing.
    """
    path = arguments.path(path)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise OptionError(f"{path} has no ending of a known animation; give one of {', '.join(FORMATS)}")
    if kind == "MP4":
        _import_ffmpeg()
    return kind


def milliseconds(kind: str, rate: float) -> int:
    """Return how many milliseconds each frame of a file by `write` is shown."""
    return 10 * _count_hundredths(rate) if kind == "GIF" else round(1000 / rate)


def _count_hundredths(rate: float) -> int:
    return max(2, round(100 / rate))


def _check_frames(frames: Iterable[Frame], shape: tuple[int, ...]) -> Iterator[Frame]:
    for index, frame in enumerate(frames):
        if index == MAX_FRAMES:
            raise OptionError(f"more than {MAX_FRAMES:,} frames were given; give fewer")
        if arguments.picture(frame, "a frame").shape != shape:
            raise OptionError(f"frames of shapes {shape} and {frame.shape} were given; give one shape")
        yield frame


def _write_with_pillow(frames: Iterator[Frame], part: Path, rate: float, **options: Any) -> None:
    pictures: Iterator[Image.Image] = (image.to_pil(frame) for frame in frames)
    first = next(pictures)
    # For a PNG, Pillow reads the frames twice.
    rest = list(pictures) if part.suffix.lower() == ".png" else pictures
    with part.open("wb") as file:  # given a path, Pillow would leave it open when interrupted
        first.save(file, save_all=True, append_images=rest, duration=round(1000 / rate), loop=0, **options)


def _write_gif(frames: Iterator[Frame], shape: tuple[int, ...], part: Path, rate: float) -> None:
    # Each frame is complete: otherwise Pillow would blend a frame with what shows through it.
    _write_with_pillow(frames, part, 100 / _count_hundredths(rate), disposal=2 if shape[2] == 4 else 0)


def _write_webp(frames: Iterator[Frame], shape: tuple[int, ...], part: Path, rate: float) -> None:
    _write_with_pillow(frames, part, rate, lossless=True, quality=60, method=2)


def _write_png(frames: Iterator[Frame], shape: tuple[int, ...], part: Path, rate: float) -> None:
    _write_with_pillow(frames, part, rate, compress_level=6)


def _write_mp4(frames: Iterator[Frame], shape: tuple[int, ...], part: Path, rate: float) -> None:
    height, width, channels = shape
    even = height + height % 2, width + width % 2  # H.264 halves the resolution of colours
    writer = _import_ffmpeg().write_frames(
        str(part),
        even[::-1],
        pix_fmt_in="gray" if channels == 1 else "rgb24",
        fps=rate,
        quality=None,
        codec="libx264",
        macro_block_size=1,
        output_params=["-crf", "15", "-movflags", "+faststart"],
        ffmpeg_log_level="error",
    )
    writer.send(None)
    try:
        for frame in frames:
            flat = frame if channels != 4 else _lay_on_black(frame)
            padded = np.pad(flat, ((0, even[0] - height), (0, even[1] - width), (0, 0)), mode="edge")
            writer.send(np.ascontiguousarray(padded))
    except OSError as error:  # ffmpeg failed in the middle, and wrote why to stderr
        raise OptionError(f"ffmpeg, which writes the MP4, failed: {str(error).splitlines()[0]}") from None
    finally:
        writer.close()
    if not part.stat().st_size:
        raise OptionError("ffmpeg wrote no MP4; give a name that ends in .gif, .webp or .png")


def _lay_on_black(frame: Frame) -> Frame:
    flat: Frame = (frame[..., :3].astype(np.uint16) * frame[..., 3:] // 255).astype(np.uint8)
    return flat


def _import_ffmpeg() -> Any:
    try:
        import imageio_ffmpeg
    except ImportError:
        raise OptionError(
            "an .mp4 needs the package imageio-ffmpeg, not installed here; install it with: "
            "pip install 'ganforge[video]', or give a name that ends in .gif, .webp or .png"
        ) from None
    return imageio_ffmpeg


_WRITERS: Final[dict[str, Callable[[Iterator[Frame], tuple[int, ...], Path, float], None]]] = {
    "GIF": _write_gif,
    "WEBP": _write_webp,
    "PNG": _write_png,
    "MP4": _write_mp4,
}
