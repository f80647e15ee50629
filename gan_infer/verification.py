"""Draws a picture anew from the record in its file, and says whether it is the same.

It opens no models: whoever calls has the generator. A text that was kept while the pixels were
changed is found out; a text that was forged together with the pixels is not, unless by the model.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer import animation, decode, edits, images, provenance
from gan_infer.errors import DataError, GanError
from gan_infer.generator import Generator
from gan_infer.provenance import PICTURE, SHEET, Provenance

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image

    Frames = npt.NDArray[np.uint8]

SAME: Final = "same"
DIFFERENT: Final = "different"
NOTHING: Final = "no provenance"
OTHER_MODEL: Final = "other model"
UNKNOWN: Final = "cannot be drawn anew"

# Levels between machines and execution providers, by the contract of model files.
EXACT_LEVELS: Final = 1
# Levels in formats that keep pixels only nearly, against pixels that went the same way. Where
# processors differ by a level, JPEG and WebP were measured to make up to 9 of it.
LOSSY_LEVELS: Final = 16

_MODES: Final = {1: "L", 3: "RGB", 4: "RGBA"}
# Characters of an error that tells of a record's own words, which may be of any length.
_MAX_REASON: Final = 300
_FILES: Final = ("PNG", "GIF", "WEBP", "JPEG")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of a picture that was drawn anew.

    Attributes:
        result: SAME, DIFFERENT, NOTHING, OTHER_MODEL or UNKNOWN.
        detail: a clause in words.
        record: what the file says; None where it says nothing.
        pixels, pixels_different: over all frames; a pixel differs where it is further off than
            `tolerance`.
        largest_difference: in levels, 0 to 255.
        tolerance: levels that were let pass.
        lossy: the file's format keeps pixels only nearly.
    """

    result: str
    detail: str
    record: Provenance | None = None
    pixels: int = 0
    pixels_different: int = 0
    largest_difference: int = 0
    tolerance: int = 0
    lossy: bool = False


def verify(path: Path, generator: Generator) -> Verdict:
    """Compare a picture file with what its record names, drawn by a generator.

    Raises:
        DataError: the file cannot be read as a picture, or its record is damaged.
    """
    record = provenance.read(path)
    if record is None:
        return Verdict(NOTHING, "carries no provenance")
    try:
        return _verdict(path, record, generator)
    except DataError as error:
        raise DataError(f"{path} {error}") from None


def _verdict(path: Path, record: Provenance, generator: Generator) -> Verdict:
    if record.model_sha256 != generator.sha256:
        made = f"made by model {record.model!r} of SHA-256 {record.model_sha256[:12]}..."
        return Verdict(OTHER_MODEL, f"{made}, not {generator.name!r} of {generator.sha256[:12]}...", record)
    if record.kind not in _DRAWN or not record.complete:
        kind = f"was made by {record.kind!r}, which is not drawn anew"
        lists = "holds too many pictures to name their seeds"
        return Verdict(UNKNOWN, lists if record.kind in _DRAWN else kind, record)
    count, height, width = _expected_size(record, generator)
    with _opened(path) as image:
        found = (_count(image), image.height, image.width)
        # Of frames that are alike one after another, writers keep one.
        if found[1:] != (height, width) or not 1 <= found[0] <= count:
            detail = f"is {_size(*found)}, where {_size(count, height, width)} were made"
            return Verdict(DIFFERENT, detail, record)
        if count * height * width * generator.image_shape[2] > images.MAX_SHEET_BYTES:
            return Verdict(UNKNOWN, f"is too large to be drawn anew: {_size(count, height, width)}", record)
        kind = str(image.format)
        mode = _MODES[3 if kind == "JPEG" and generator.image_shape[2] == 4 else generator.image_shape[2]]
        got = _frames(image, mode)
    try:
        drawn = _DRAWN[record.kind](generator, record)
    except GanError as error:
        return Verdict(UNKNOWN, f"names what the model cannot draw: {str(error)[:_MAX_REASON]}", record)
    return _compared(got, drawn, kind, mode, record)


def _compared(got: Frames, drawn: Frames, kind: str, mode: str, record: Provenance) -> Verdict:
    off = _apart(got, _plain(drawn, mode))
    lossy = kind == "JPEG" or (kind == "WEBP" and len(got) == 1) or (kind == "GIF" and drawn.shape[-1] > 1)
    tolerance = EXACT_LEVELS
    if lossy and off.max() > EXACT_LEVELS:
        tolerance = LOSSY_LEVELS
        off = _apart(got, _written(drawn, kind, mode, record))
    bad, largest = int((off > tolerance).sum()), int(off.max())
    about = f" ({kind} keeps pixels nearly: up to {tolerance} levels are let pass)" if tolerance > 1 else ""
    if bad:
        detail = f"{bad:,} of {off.size:,} pixels differ, by up to {largest} of 255 levels{about}"
    elif largest:
        detail = f"{int((off > 0).sum()):,} of {off.size:,} pixels are off by up to {largest} levels"
        detail += about or ", as they may be between machines"
    else:
        detail = f"all {off.size:,} pixels are the same"
    return Verdict(DIFFERENT if bad else SAME, detail, record, off.size, bad, largest, tolerance, lossy)


def _apart(got: Frames, expected: Frames) -> npt.NDArray[np.int16]:
    """Give by how many levels each pixel is off: of the channel that is furthest off."""
    if len(got) != len(expected):
        changed = (expected[1:] != expected[:-1]).any(axis=(1, 2, 3))
        expected = expected[np.concatenate(([True], changed))]
    if len(got) != len(expected):
        return np.full(expected.shape[:3], 255, np.int16)
    return np.abs(got.astype(np.int16) - expected).max(axis=-1)  # type: ignore[no-any-return]


# What records name, drawn anew: enlarged frames, uint8 [n, height, width, channels].


def _picture(generator: Generator, record: Provenance) -> Frames:
    return _enlarged(_drawn(generator, record)[:1], record)


def _sheet(generator: Generator, record: Provenance) -> Frames:
    return _enlarged(images.tile(_drawn(generator, record), record.columns)[None], record)


def _edit(generator: Generator, record: Provenance) -> Frames:
    rows = [
        generator.edit(record.seeds[0], _labels(record), {name: record.more["amounts"]}, psi=record.psi)
        for name in record.more["directions"]
    ]
    return _enlarged(images.tile(np.concatenate(rows), record.columns)[None], record)


def _moving(generator: Generator, record: Provenance) -> Frames:
    seeds, steps, mode = list(record.seeds), record.more["steps"], record.more.get("mode")
    if record.more.get("way") == "loop":
        frames = generator.loop(seeds, steps, mode, _labels(record), psi=record.psi)
    else:
        frames = generator.interpolate(seeds[0], seeds[-1], steps, mode, _labels(record), psi=record.psi)
    if record.columns:
        frames = images.tile(frames, record.columns)[None]
    return _enlarged(frames, record)


_DRAWN: Final[dict[str, Callable[[Generator, Provenance], Frames]]] = {
    PICTURE: _picture,
    SHEET: _sheet,
    "edit": _edit,
    "walk": _moving,
    "morph": _moving,
}


def _drawn(generator: Generator, record: Provenance) -> Frames:
    latents = generator.latents(list(record.seeds))
    labels: Any = None
    if any(not isinstance(label, str) for label in record.labels):
        labels = np.stack([generator.label_weights(label) for label in record.labels])  # type: ignore[arg-type]
    elif record.labels:
        labels = [generator.label_index(name) for name in record.labels if isinstance(name, str)]
    return generator(latents if record.psi == 1.0 else latents * np.float32(record.psi), labels)


def _labels(record: Provenance) -> Any:
    if not record.labels:
        return None
    return record.labels[0] if len(record.labels) == 1 else list(record.labels)


def _expected_size(record: Provenance, generator: Generator) -> tuple[int, int, int]:
    """Give frames, height and width that the record stands for.

    Raises:
        DataError: it is no record of such a picture.
    """
    height, width, _ = generator.image_shape
    frames, pictures = 1, len(record.seeds)
    try:
        if record.kind == "edit":
            directions, amounts = record.more["directions"], record.more["amounts"]
            if not (_all(directions, str, int) and _all(amounts, int, float)):
                raise ValueError
            if not all(-edits.MAX_AMOUNT <= amount <= edits.MAX_AMOUNT for amount in amounts):
                raise ValueError
            pictures = len(directions) * len(amounts)
        elif record.kind in ("walk", "morph"):
            pictures, rate = record.more["steps"], record.more.get("rate", 25)
            if (
                type(pictures) is not int
                or type(rate) not in (int, float)
                or not 0 < rate <= animation.MAX_RATE
            ):
                raise ValueError
            frames = 1 if record.columns else pictures
        elif record.kind == PICTURE and pictures != 1:
            raise ValueError
        if not 1 <= pictures <= provenance.MAX_PICTURES or not 1 <= frames <= animation.MAX_FRAMES:
            raise ValueError
        if record.kind in (SHEET, "edit") and not record.columns:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise DataError(f"carries a record of provenance that is no {record.kind!r}") from None
    if record.columns:
        gap = images.GAP
        height = -(-pictures // record.columns) * (height + gap) + gap
        width = record.columns * (width + gap) + gap
    return frames, height * record.scale, width * record.scale


def _all(value: object, *kinds: type) -> bool:
    return isinstance(value, list) and all(type(item) in kinds for item in value)


def _enlarged(frames: Frames, record: Provenance) -> Frames:
    return np.stack([images.enlarge(frame, record.scale) for frame in frames])


# Pixels of files.


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    with warnings.catch_warnings(), path.open("rb") as file:
        warnings.filterwarnings("ignore", module="PIL")  # what matters in them is met as an error
        with decode.opened(file, os.fstat(file.fileno()).st_size) as image:
            yield image


def _frames(image: Image.Image, mode: str) -> Frames:
    frames = []
    try:
        for index in range(_count(image)):
            image.seek(index)
            frames.append(_array(image.convert(mode)))
    except Exception as error:  # Pillow's readers meet foreign bytes with errors of every class there is
        raise DataError(f"is damaged: {decode.plain(error)}") from None
    return np.stack(frames)


def _count(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception as error:
        raise DataError(f"is damaged: {decode.plain(error)}") from None


def _array(image: Image.Image) -> Frames:
    array: Frames = np.asarray(image, np.uint8)
    return array[..., None] if array.ndim == 2 else array


def _plain(drawn: Frames, mode: str) -> Frames:
    return np.stack([_array(images.to_pil(frame).convert(mode)) for frame in drawn])


def _written(drawn: Frames, kind: str, mode: str, record: Provenance) -> Frames:
    """Give what frames look like when they are read from a file of a format that keeps them nearly."""
    from PIL import Image

    if record.columns or record.kind not in ("walk", "morph"):
        with Image.open(io.BytesIO(images.encode(drawn[0], kind)), formats=_FILES) as image:
            return _frames(image, mode)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"moving.{kind.lower()}")
        animation.write(drawn, path, float(record.more.get("rate", 25)))
        with Image.open(path, formats=_FILES) as image:
            return _frames(image, mode)


def _size(frames: int, height: int, width: int) -> str:
    return f"{f'{frames} frames of ' if frames != 1 else ''}{width}x{height} pixels"
