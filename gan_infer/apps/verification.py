"""Draws a picture anew from the record in its file, and says whether any viewer shows the same.

It opens no models: whoever calls has the generator. A text that was kept while the pixels were
changed is found out, and so is what makes viewers show other than the stored pixels (`display`); a
text that was forged together with the pixels is not, unless by the model.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer import display
from gan_infer.decoding.image import explain, open_image
from gan_infer.display import webp, xmp
from gan_infer.errors import DataError, GanError
from gan_infer.latent.directions import MAX_AMOUNT
from gan_infer.modelfile import metadata
from gan_infer.models.generator import Generator
from gan_infer.outputs import animation
from gan_infer.outputs.image import GAP, MAX_SHEET_BYTES, encode, enlarge, tile
from gan_infer.provenance import record as provenance
from gan_infer.provenance.record import PICTURE, SHEET, Provenance

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image

    Frames = npt.NDArray[np.uint8]
    Deep = npt.NDArray[np.uint16]

SAME: Final = "same"
DIFFERENT: Final = "different"
NOTHING: Final = "no provenance"
OTHER_MODEL: Final = "other model"
UNKNOWN: Final = "cannot be drawn anew"
UNSURE: Final = "cannot say"

# Levels between machines and execution providers, by the contract of model files.
EXACT_LEVELS: Final = 1
# Levels in formats that keep pixels only nearly, against pixels that went the same way. Where
# processors differ by a level, JPEG and WebP were measured to make up to 9 of it.
LOSSY_LEVELS: Final = 16
# Of that, what a square of pixels may be off as a whole: losses cancel out, a veil or a tint does not.
# Measured: up to 2.6, in brightness over squares of 8 pixels and in each colour over squares of 16.
VEIL_LEVELS: Final = 3
_BRIGHTNESS: Final = (0.299, 0.587, 0.114)

_OPAQUE: Final = 255
_DEEP_WHITE: Final = 65_535
# Files beyond this are not looked through.
_MAX_BYTES: Final = 2**30
# Characters of an error that tells of a record's own words, which may be of any length.
_MAX_REASON: Final = 300
_FILES: Final = ("PNG", "GIF", "WEBP", "JPEG")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of a picture that was drawn anew.

    Attributes:
        result: SAME, DIFFERENT, NOTHING, OTHER_MODEL, UNKNOWN or UNSURE (the pixels are the same, and
            the file holds what some viewers might show otherwise).
        detail: a clause in words.
        record: what the file says; None where it says nothing.
        pixels, pixels_different: over all frames; a pixel differs where it is further off than
            `tolerance`.
        largest_difference: in levels, 0 to 255.
        tolerance: levels that were let pass.
        lossy: the file's format keeps pixels only nearly.
        notes: what the file holds that is not shown, and that the record does not speak of.
    """

    result: str
    detail: str
    record: Provenance | None = None
    pixels: int = 0
    pixels_different: int = 0
    largest_difference: int = 0
    tolerance: int = 0
    lossy: bool = False
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Shown:
    """What a file shows: its frames, in as few channels as they need, and how long each stays."""

    kind: str
    frames: Frames
    milliseconds: tuple[float, ...]


def verify(path: Path, generator: Generator) -> Verdict:
    """Compare a picture file, as any viewer shows it, with what its record names, drawn by a generator.

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
    if other := _other_model(record, generator):
        return Verdict(OTHER_MODEL, other, record)
    if record.kind not in _DRAWN or not record.complete:
        kind = f"was made by {record.kind!r}, which is not drawn anew"
        lists = "holds too many pictures to name their seeds"
        return Verdict(UNKNOWN, lists if record.kind in _DRAWN else kind, record)
    count, height, width = _expected_size(record, generator)
    body = _read(path)
    if other := _other_size(body, height, width):
        return Verdict(DIFFERENT, f"is {other}, where {_size(count, height, width)} were made", record)
    return _verdict_on(body, (count, height, width), record, generator)


def _verdict_on(body: bytes, made: tuple[int, int, int], record: Provenance, generator: Generator) -> Verdict:
    """Judge a file whose record can be drawn anew, as `made` frames, height and width."""
    count, height, width = made
    found, end = display.inspect(body)
    _check_texts(found, record)
    with _opened(body[:end]) as image:
        frames = _count(image)
        # Of frames that are alike one after another, writers keep one.
        if (image.height, image.width) != (height, width) or not 1 <= frames <= count:
            is_ = _size(frames, image.height, image.width)
            return Verdict(DIFFERENT, f"is {is_}, where {_size(count, height, width)} were made", record)
        if count * height * width * generator.image_shape[2] > MAX_SHEET_BYTES:
            return Verdict(UNKNOWN, f"is too large to be drawn anew: {_size(count, height, width)}", record)
        shown = _shown(image, frames)
    if frames != found.frames:
        found.doubt(f"holds {found.frames} frames, of which readers find {frames}")
    try:
        drawn = _DRAWN[record.kind](generator, record)
    except GanError as error:
        return Verdict(UNKNOWN, f"names what the model cannot draw: {str(error)[:_MAX_REASON]}", record)
    return _judged(_compared(shown, drawn, record), _other_pace(shown, drawn, record), shown, found)


def _other_model(record: Provenance, generator: Generator) -> str:
    """Say which other model a record names than the one that is given; "" where it is that one."""
    if record.model_sha256 != generator.sha256:
        made = f"made by model {record.model!r} of SHA-256 {record.model_sha256[:12]}..."
        return f"{made}, not {generator.name!r} of {generator.sha256[:12]}..."
    # A foreign file says no name of itself: it is called as its file is, wherever that lies.
    foreign = generator.metadata.preparation.startswith(metadata.FOREIGN)
    if not foreign and record.model != generator.name:
        return f"names the model {record.model!r}, and its SHA-256 is that of {generator.name!r}"
    return ""


def _other_size(body: bytes, height: int, width: int) -> str:
    """Return the size of a picture where it is not the expected one, else "": known before much is unpacked.

    Raises:
        DataError: it is larger than pictures are read.
    """
    with _opened(body) as image:
        is_as_expected = (image.height, image.width) == (height, width)
        return "" if is_as_expected else _size(1, image.height, image.width)


def _read(path: Path) -> bytes:
    """Return the bytes that all is told by, once, so that they are the same for all."""
    try:
        with path.open("rb") as file:
            body = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"cannot be read: {explain(error)}") from None
    if len(body) > _MAX_BYTES:
        raise DataError(f"has over {_MAX_BYTES // 2**20:,} MiB; give a smaller file")
    return body


def _check_texts(found: display.Findings, record: Provenance) -> None:
    """Note texts that say otherwise than the record, or that steer viewers."""
    records = [text for keyword, text in found.texts if keyword == provenance.KEYWORD.encode()]
    others = len(found.texts) - len(records)
    if others:
        found.add(f"{others:,} text{'s' if others != 1 else ''} of others")
    ours = {provenance.packet(record, with_record=held).encode() for held in (True, False)}
    for packet in found.xmp:
        records += provenance.records_in(packet)
        if packet.rstrip(b" ") not in ours:
            found.add("XMP of others")
            xmp.check(provenance.without_records(packet), found)
    if not all(_says(text, record) for text in records):
        found.doubt("holds a second record, which says otherwise")


def _says(text: bytes, record: Provenance) -> bool:
    try:
        return Provenance.from_json(text.decode()) == record
    except (DataError, UnicodeDecodeError):
        return False


def _judged(verdict: Verdict, pace: str, shown: _Shown, found: display.Findings) -> Verdict:
    """Lower a verdict of SAME where what the file holds beside its pixels changes its look."""
    verdict = dataclasses.replace(verdict, notes=tuple(found.more))
    if verdict.result != SAME:
        return verdict
    if pace:
        found.change(pace)
    if found.behind and shown.frames.shape[-1] == 4 and (shown.frames[..., 3] < _OPAQUE).any():
        found.doubt("names a colour to show behind it")
    if found.changes:
        return dataclasses.replace(verdict, result=DIFFERENT, detail=" and ".join(found.changes))
    if found.doubts:
        return dataclasses.replace(
            verdict, result=UNSURE, detail=f"{verdict.detail}, but it {' and '.join(found.doubts)}"
        )
    if not found.more:
        return verdict
    return dataclasses.replace(verdict, detail=f"{verdict.detail}; it also holds {', '.join(found.more)}")


def _compared(shown: _Shown, drawn: Frames, record: Provenance) -> Verdict:
    got, kind, channels = shown.frames, shown.kind, drawn.shape[-1]
    if kind == "JPEG" and channels == 4:
        drawn = drawn[..., :3]
    size = got[..., 0].size
    if got.shape[-1] == 4 and drawn.shape[-1] < 4 and (bad := int((got[..., 3] < _OPAQUE).sum())):
        detail = f"{bad:,} of {size:,} pixels are transparent, where the model draws none that are"
        return Verdict(DIFFERENT, detail, record, size, bad, _OPAQUE - int(got[..., 3].min()), EXACT_LEVELS)
    off = _apart(got, drawn)
    veiled = np.zeros(off.shape, np.bool_)
    lossy = kind == "JPEG" or (kind == "WEBP" and len(got) == 1) or (kind == "GIF" and channels > 1)
    tolerance = EXACT_LEVELS
    if lossy and off.max() > EXACT_LEVELS:
        tolerance = LOSSY_LEVELS
        written = _written(drawn, kind, record)
        off, veiled = _apart(got, written), _veiled(got, written)
    bad, largest = int(((off > tolerance) | veiled).sum()), int(off.max())
    about = f" ({kind} keeps pixels nearly: up to {tolerance} levels are let pass"
    about = f"{about}, {VEIL_LEVELS} where all around are off alike)" if tolerance > 1 else ""
    if bad:
        detail = f"{bad:,} of {off.size:,} pixels differ, by up to {largest} of 255 levels{about}"
    elif largest:
        detail = f"{int((off > 0).sum()):,} of {off.size:,} pixels are off by up to {largest} levels"
        detail += about or ", as they may be between machines"
    else:
        detail = f"all {off.size:,} pixels are the same"
    return Verdict(DIFFERENT if bad else SAME, detail, record, off.size, bad, largest, tolerance, lossy)


def _apart(got: Frames, expected: Frames) -> npt.NDArray[np.int16]:
    """Return by how many levels each pixel is off: of the channel that is furthest off."""
    if len(got) != len(expected):
        expected = expected[_changes(expected)]
    if len(got) != len(expected):
        return np.full(expected.shape[:3], 255, np.int16)
    channels = max(got.shape[-1], expected.shape[-1])
    got, expected = _with_channels(got, channels), _with_channels(expected, channels)
    return np.abs(got.astype(np.int16) - expected).max(axis=-1)  # type: ignore[no-any-return]


def _veiled(got: Frames, expected: Frames) -> npt.NDArray[np.bool_]:
    """Tell of each pixel whether it lies in a square that is off as a whole."""
    if len(got) != len(expected):
        return np.zeros(expected.shape[:3], np.bool_)
    channels = max(got.shape[-1], expected.shape[-1])
    got, expected = _with_channels(got, channels), _with_channels(expected, channels)
    off = got.astype(np.float64) - expected
    brightness = off[..., :3] @ np.array(_BRIGHTNESS) if channels > 1 else off[..., 0]
    veiled = _off_in_squares(brightness, 8)
    for channel in range(channels):
        veiled |= _off_in_squares(off[..., channel], 16)
    return veiled


def _off_in_squares(off: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.bool_]:
    """Tell of each pixel of [n, height, width] whether the mean of its square is off too far."""
    _, height, width = off.shape
    down, across = np.arange(0, height, side), np.arange(0, width, side)
    sums = np.add.reduceat(np.add.reduceat(off, down, axis=1), across, axis=2)
    sizes = np.outer(np.diff([*down, height]), np.diff([*across, width]))
    far = np.abs(sums / sizes) > VEIL_LEVELS
    spread: npt.NDArray[np.bool_] = far.repeat(side, axis=1).repeat(side, axis=2)[:, :height, :width]
    return spread


def _changes(frames: Frames) -> npt.NDArray[np.bool_]:
    """Tell of each frame whether it differs from the one before."""
    changed = (frames[1:] != frames[:-1]).any(axis=(1, 2, 3))
    return np.concatenate(([True], changed))


def _with_channels(frames: Frames, channels: int) -> Frames:
    """Return frames in grey, RGB or RGBA with more channels, as they look the same."""
    if frames.shape[-1] == 1 < channels:
        frames = frames.repeat(3, axis=-1)
    if frames.shape[-1] < channels:
        frames = np.concatenate([frames, np.full_like(frames[..., :1], _OPAQUE)], axis=-1)
    return frames


def _other_pace(shown: _Shown, drawn: Frames, record: Provenance) -> str:
    """Say how an animation's frames are shown for another time than the record names."""
    if len(shown.milliseconds) < 2:
        return ""
    starts = [*np.flatnonzero(_changes(drawn)), len(drawn)]
    runs = [after - before for before, after in itertools.pairwise(starts)]
    rate = record.more.get("rate")  # without it the pace has to be even, whatever it is
    even = shown.milliseconds[0] / (runs[0] if len(runs) == len(shown.milliseconds) else 1)
    each = round(even) if rate is None else animation.milliseconds(shown.kind, rate)
    expected = [each * run for run in (runs if len(runs) == len(shown.milliseconds) else [1] * len(drawn))]
    if all(abs(got - right) < 1 for got, right in zip(shown.milliseconds, expected, strict=False)):
        return ""
    low, high = min(shown.milliseconds), max(shown.milliseconds)
    return f"shows its frames for {low:,.0f} to {high:,.0f} ms, where they were made for {each:,} each"


# What records name, drawn anew: enlarged frames, uint8 [n, height, width, channels].


def _picture(generator: Generator, record: Provenance) -> Frames:
    return _enlarged(_drawn(generator, record)[:1], record)


def _sheet(generator: Generator, record: Provenance) -> Frames:
    return _enlarged(tile(_drawn(generator, record), record.columns)[None], record)


def _edit(generator: Generator, record: Provenance) -> Frames:
    rows = [
        generator.edit(record.seeds[0], _labels(record), {name: record.more["amounts"]}, psi=record.psi)
        for name in record.more["directions"]
    ]
    return _enlarged(tile(np.concatenate(rows), record.columns)[None], record)


def _moving(generator: Generator, record: Provenance) -> Frames:
    seeds, steps, mode = list(record.seeds), record.more["steps"], record.more.get("mode")
    if record.more.get("way") == "loop":
        frames = generator.loop(seeds, steps, mode, _labels(record), psi=record.psi)
    else:
        frames = generator.interpolate(seeds[0], seeds[-1], steps, mode, _labels(record), psi=record.psi)
    if record.columns:
        frames = tile(frames, record.columns)[None]
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
    """Return frames, height and width that the record stands for.

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
            if not all(-MAX_AMOUNT <= amount <= MAX_AMOUNT for amount in amounts):
                raise ValueError
            pictures = len(directions) * len(amounts)
        elif record.kind in ("walk", "morph"):
            pictures, rate = record.more["steps"], record.more.get("rate", 1)
            if type(pictures) is not int or type(rate) not in (int, float):
                raise ValueError
            if not 0 < rate <= animation.MAX_RATE:
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
        gap = GAP
        height = -(-pictures // record.columns) * (height + gap) + gap
        width = record.columns * (width + gap) + gap
    return frames, height * record.scale, width * record.scale


def _all(value: object, *kinds: type) -> bool:
    return isinstance(value, list) and all(type(item) in kinds for item in value)


def _enlarged(frames: Frames, record: Provenance) -> Frames:
    return np.stack([enlarge(frame, record.scale) for frame in frames])


# Pixels of files.


@contextlib.contextmanager
def _opened(body: bytes) -> Iterator[Image.Image]:
    if webp.is_webp(body):
        body = webp.mark_transparent(body)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # what matters in them is met as an error
        with open_image(io.BytesIO(body), len(body)) as image:
            yield image


def _shown(image: Image.Image, count: int) -> _Shown:
    frames, times = [], []
    try:
        for index in range(count):
            image.seek(index)
            frames.append(_array(image))
            times.append(float(image.info.get("duration", 0)))
    except Exception as error:  # Pillow's readers meet foreign bytes with errors of every class there is
        raise DataError(f"is damaged: {explain(error)}") from None
    most = max(frame.shape[-1] for frame in frames)
    return _Shown(
        str(image.format), np.stack([_with_channels(frame, most) for frame in frames]), tuple(times)
    )


def _count(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception as error:
        raise DataError(f"is damaged: {explain(error)}") from None


def _array(image: Image.Image) -> Frames:
    """Return a frame as it looks, uint8 [height, width, channels], in as few channels as hold it."""
    if image.mode.startswith("I;16"):  # Pillow would cut what is lighter than 255 off
        deep: Deep = np.asarray(image, np.uint16)
        return ((deep.astype(np.uint32) * _OPAQUE + _DEEP_WHITE // 2) // _DEEP_WHITE).astype(np.uint8)[
            ..., None
        ]
    if image.mode == "L" and "transparency" not in image.info:
        return np.asarray(image, np.uint8)[..., None]
    array: Frames = np.asarray(image.convert("RGBA"), np.uint8)
    if (array[..., 3] < _OPAQUE).any():
        return array
    grey = (array[..., 0] == array[..., 1]).all() and (array[..., 1] == array[..., 2]).all()
    return array[..., :1] if grey else array[..., :3]


def _written(drawn: Frames, kind: str, record: Provenance) -> Frames:
    """Return what frames look like when they are read from a file of a format that keeps them nearly."""
    if record.columns or record.kind not in ("walk", "morph"):
        body = encode(drawn[0], kind)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"moving.{kind.lower()}")
            animation.write(drawn, path, float(record.more.get("rate", 25)))
            body = path.read_bytes()
    with _opened(body) as image:
        return _shown(image, _count(image)).frames


def _size(frames: int, height: int, width: int) -> str:
    return f"{f'{frames} frames of ' if frames != 1 else ''}{width}x{height} pixels"
