"""Draws a picture again from the record in its file, and compares: does every viewer show the same?

The caller opens the model. It finds a record that was kept while the pixels were changed, and what
makes viewers show something other than the stored pixels (`display`). A record that was forged together
with the pixels is found only if the model cannot draw them.
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
from typing import TYPE_CHECKING, Final

import numpy as np

from gan_infer import display
from gan_infer.decoding.decode import explain, open_image
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

# In pixel values: between machines and execution providers, by the contract of model files.
EXACT_TOLERANCE: Final = 1
# For lossy formats, against pixels that were encoded the same way. Where processors differ by 1, JPEG
# and WebP were measured to make up to 9 of it.
LOSSY_TOLERANCE: Final = 16
# For the mean of a square of pixels: losses cancel out, a veil or a tint does not. Measured: up to 2.6,
# in brightness over squares of 8 pixels and in each colour over squares of 16.
VEIL_TOLERANCE: Final = 3
_BRIGHTNESS: Final = (0.299, 0.587, 0.114)

_OPAQUE: Final = 255
_DEEP_WHITE: Final = 65_535
# Larger files are not read.
_MAX_BYTES: Final = 2**30
# Characters of an error that quotes a record, which may be of any length.
_MAX_REASON: Final = 300
_FILES: Final = ("PNG", "GIF", "WEBP", "JPEG")


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The result of a verification.

    Attributes:
        result: SAME, DIFFERENT, NOTHING, OTHER_MODEL, UNKNOWN or UNSURE (the pixels are the same, but
            the file holds what some viewers might show differently).
        detail: the result in words, a clause.
        record: the record in the file; None if there is none.
        pixels, pixels_different: counts over all frames; a pixel differs if it is off by more than
            `tolerance`.
        largest_difference: of a pixel value, 0 to 255.
        tolerance: the difference of pixel values that is accepted.
        lossy: whether the file's format is lossy.
        notes: what the file holds that is not shown and not in the record.
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
class _View:
    """What a file shows: its frames, in as few channels as they need, and how long each is shown."""

    kind: str
    frames: Frames
    milliseconds: tuple[float, ...]


def verify(path: Path, generator: Generator) -> Verdict:
    """Compare a picture file, as any viewer shows it, with what a generator draws for its record.

    Raises:
        DataError: the file cannot be read as a picture, or its record is damaged.
    """
    record = provenance.read(path)
    if record is None:
        return Verdict(NOTHING, "carries no provenance")
    try:
        return _verify_record(path, record, generator)
    except DataError as error:
        raise DataError(f"{path} {error}") from None


def _verify_record(path: Path, record: Provenance, generator: Generator) -> Verdict:
    if other := _find_other_model(record, generator):
        return Verdict(OTHER_MODEL, other, record)
    if record.kind not in _DRAW_BY_KIND or not record.complete:
        kind = f"was made by {record.kind!r}, which is not drawn anew"
        lists = "holds too many pictures to name their seeds"
        return Verdict(UNKNOWN, lists if record.kind in _DRAW_BY_KIND else kind, record)
    count, height, width = _compute_size(record, generator)
    body = _read(path)
    if other := _find_other_size(body, height, width):
        return Verdict(
            DIFFERENT, f"is {other}, where {_describe_size(count, height, width)} were made", record
        )
    return _verify_body(body, (count, height, width), record, generator)


def _verify_body(
    body: bytes, made: tuple[int, int, int], record: Provenance, generator: Generator
) -> Verdict:
    """Verify a file whose record can be drawn again; `made` is frames, height and width."""
    count, height, width = made
    findings, end = display.inspect(body)
    _check_texts(findings, record)
    with _open(body[:end]) as image:
        frames = _count_frames(image)
        # Writers keep one of equal successive frames.
        if (image.height, image.width) != (height, width) or not 1 <= frames <= count:
            is_ = _describe_size(frames, image.height, image.width)
            return Verdict(
                DIFFERENT, f"is {is_}, where {_describe_size(count, height, width)} were made", record
            )
        if count * height * width * generator.image_shape[2] > MAX_SHEET_BYTES:
            return Verdict(
                UNKNOWN, f"is too large to be drawn anew: {_describe_size(count, height, width)}", record
            )
        view = _view(image, frames)
    if frames != findings.frames:
        findings.doubt(f"holds {findings.frames} frames, of which readers find {frames}")
    try:
        drawn = _DRAW_BY_KIND[record.kind](generator, record)
    except GanError as error:
        return Verdict(UNKNOWN, f"names what the model cannot draw: {str(error)[:_MAX_REASON]}", record)
    return _lower(_compare(view, drawn, record), _find_other_pace(view, drawn, record), view, findings)


def _find_other_model(record: Provenance, generator: Generator) -> str:
    """Describe the model that a record names if it is not the given one; else ""."""
    if record.model_sha256 != generator.sha256:
        made = f"made by model {record.model!r} of SHA-256 {record.model_sha256[:12]}..."
        return f"{made}, not {generator.name!r} of {generator.sha256[:12]}..."
    # A foreign file has no name of its own: it has that of its file, wherever that is.
    foreign = generator.metadata.preparation.startswith(metadata.FOREIGN)
    if not foreign and record.model != generator.name:
        return f"names the model {record.model!r}, and its SHA-256 is that of {generator.name!r}"
    return ""


def _find_other_size(body: bytes, height: int, width: int) -> str:
    """Describe the size of a picture if it is not the expected one, else "", before much is decoded.

    Raises:
        DataError: it is too large to be read.
    """
    with _open(body) as image:
        is_as_expected = (image.height, image.width) == (height, width)
        return "" if is_as_expected else _describe_size(1, image.height, image.width)


def _read(path: Path) -> bytes:
    """Read the file once, so that every check sees the same bytes."""
    try:
        with path.open("rb") as file:
            body = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"cannot be read: {explain(error)}") from None
    if len(body) > _MAX_BYTES:
        raise DataError(f"has over {_MAX_BYTES // 2**20:,} MiB; give a smaller file")
    return body


def _check_texts(findings: display.Findings, record: Provenance) -> None:
    """Note texts that contradict the record, or that change how viewers show the picture."""
    records = [text for keyword, text in findings.texts if keyword == provenance.KEYWORD.encode()]
    others = len(findings.texts) - len(records)
    if others:
        findings.add(f"{others:,} text{'s' if others != 1 else ''} of others")
    ours = {provenance.packet(record, with_record=held).encode() for held in (True, False)}
    for packet in findings.xmp:
        records += provenance.records_in(packet)
        if packet.rstrip(b" ") not in ours:
            findings.add("XMP of others")
            xmp.check(provenance.without_records(packet), findings)
    if not all(_states(text, record) for text in records):
        findings.doubt("holds a second record, which says otherwise")


def _states(text: bytes, record: Provenance) -> bool:
    try:
        return Provenance.from_json(text.decode()) == record
    except (DataError, UnicodeDecodeError):
        return False


def _lower(verdict: Verdict, pace: str, view: _View, findings: display.Findings) -> Verdict:
    """Lower a result of SAME if something in the file, beside its pixels, changes its look."""
    verdict = dataclasses.replace(verdict, notes=tuple(findings.more))
    if verdict.result != SAME:
        return verdict
    if pace:
        findings.change(pace)
    if findings.behind and view.frames.shape[-1] == 4 and (view.frames[..., 3] < _OPAQUE).any():
        findings.doubt("names a colour to show behind it")
    if findings.changes:
        return dataclasses.replace(verdict, result=DIFFERENT, detail=" and ".join(findings.changes))
    if findings.doubts:
        return dataclasses.replace(
            verdict, result=UNSURE, detail=f"{verdict.detail}, but it {' and '.join(findings.doubts)}"
        )
    if not findings.more:
        return verdict
    return dataclasses.replace(verdict, detail=f"{verdict.detail}; it also holds {', '.join(findings.more)}")


def _compare(view: _View, drawn: Frames, record: Provenance) -> Verdict:
    got, kind, channels = view.frames, view.kind, drawn.shape[-1]
    if kind == "JPEG" and channels == 4:
        drawn = drawn[..., :3]
    size = got[..., 0].size
    if got.shape[-1] == 4 and drawn.shape[-1] < 4 and (bad := int((got[..., 3] < _OPAQUE).sum())):
        detail = f"{bad:,} of {size:,} pixels are transparent, where the model draws none that are"
        return Verdict(
            DIFFERENT, detail, record, size, bad, _OPAQUE - int(got[..., 3].min()), EXACT_TOLERANCE
        )
    off = _measure_distance(got, drawn)
    veiled = np.zeros(off.shape, np.bool_)
    lossy = kind == "JPEG" or (kind == "WEBP" and len(got) == 1) or (kind == "GIF" and channels > 1)
    tolerance = EXACT_TOLERANCE
    if lossy and off.max() > EXACT_TOLERANCE:
        tolerance = LOSSY_TOLERANCE
        written = _write_and_read(drawn, kind, record)
        off, veiled = _measure_distance(got, written), _find_veil(got, written)
    bad, largest = int(((off > tolerance) | veiled).sum()), int(off.max())
    about = f" ({kind} is lossy: up to {tolerance} are accepted"
    about = f"{about}, {VEIL_TOLERANCE} where all pixels around differ alike)" if tolerance > 1 else ""
    if bad:
        detail = f"{bad:,} of {off.size:,} pixels differ, by up to {largest} of 255{about}"
    elif largest:
        detail = f"{int((off > 0).sum()):,} of {off.size:,} pixels are off by up to {largest} of 255"
        detail += about or ", as they may be between machines"
    else:
        detail = f"all {off.size:,} pixels are the same"
    return Verdict(DIFFERENT if bad else SAME, detail, record, off.size, bad, largest, tolerance, lossy)


def _measure_distance(got: Frames, expected: Frames) -> npt.NDArray[np.int16]:
    """Return the difference of each pixel (the largest of its channels), int16 [n, height, width]."""
    if len(got) != len(expected):
        expected = expected[_find_changes(expected)]
    if len(got) != len(expected):
        return np.full(expected.shape[:3], 255, np.int16)
    channels = max(got.shape[-1], expected.shape[-1])
    got, expected = _add_channels(got, channels), _add_channels(expected, channels)
    largest: npt.NDArray[np.int16] = np.abs(got.astype(np.int16) - expected).max(axis=-1)
    return largest


def _find_veil(got: Frames, expected: Frames) -> npt.NDArray[np.bool_]:
    """Return for each pixel, bool [n, height, width], whether the mean of its square differs."""
    if len(got) != len(expected):
        return np.zeros(expected.shape[:3], np.bool_)
    channels = max(got.shape[-1], expected.shape[-1])
    got, expected = _add_channels(got, channels), _add_channels(expected, channels)
    off = got.astype(np.float64) - expected
    brightness = off[..., :3] @ np.array(_BRIGHTNESS) if channels > 1 else off[..., 0]
    veiled = _find_squares_off(brightness, 8)
    for channel in range(channels):
        veiled |= _find_squares_off(off[..., channel], 16)
    return veiled


def _find_squares_off(off: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.bool_]:
    """Return for each pixel of [n, height, width] whether the mean of its square differs too much."""
    _, height, width = off.shape
    down, across = np.arange(0, height, side), np.arange(0, width, side)
    sums = np.add.reduceat(np.add.reduceat(off, down, axis=1), across, axis=2)
    sizes = np.outer(np.diff([*down, height]), np.diff([*across, width]))
    far = np.abs(sums / sizes) > VEIL_TOLERANCE
    spread: npt.NDArray[np.bool_] = far.repeat(side, axis=1).repeat(side, axis=2)[:, :height, :width]
    return spread


def _find_changes(frames: Frames) -> npt.NDArray[np.bool_]:
    """Return for each frame whether it differs from the one before."""
    changed = (frames[1:] != frames[:-1]).any(axis=(1, 2, 3))
    return np.concatenate(([True], changed))


def _add_channels(frames: Frames, channels: int) -> Frames:
    """Return frames of grey, RGB or RGBA with more channels and the same look."""
    if frames.shape[-1] == 1 < channels:
        frames = frames.repeat(3, axis=-1)
    if frames.shape[-1] < channels:
        frames = np.concatenate([frames, np.full_like(frames[..., :1], _OPAQUE)], axis=-1)
    return frames


def _find_other_pace(view: _View, drawn: Frames, record: Provenance) -> str:
    """Describe how long an animation's frames are shown, if it differs from the record; else ""."""
    if len(view.milliseconds) < 2:
        return ""
    starts = [*np.flatnonzero(_find_changes(drawn)), len(drawn)]
    runs = [after - before for before, after in itertools.pairwise(starts)]
    rate = record.more.get("rate")  # without it, the pace must be even
    even = view.milliseconds[0] / (runs[0] if len(runs) == len(view.milliseconds) else 1)
    each = round(even) if rate is None else animation.milliseconds(view.kind, rate)
    expected = [each * run for run in (runs if len(runs) == len(view.milliseconds) else [1] * len(drawn))]
    if all(abs(got - right) < 1 for got, right in zip(view.milliseconds, expected, strict=False)):
        return ""
    low, high = min(view.milliseconds), max(view.milliseconds)
    return f"shows its frames for {low:,.0f} to {high:,.0f} ms, where they were made for {each:,} each"


# Draw again what records name: enlarged frames, uint8 [n, height, width, channels].


def _draw_picture(generator: Generator, record: Provenance) -> Frames:
    return _enlarge(_draw(generator, record)[:1], record)


def _draw_sheet(generator: Generator, record: Provenance) -> Frames:
    return _enlarge(tile(_draw(generator, record), record.columns)[None], record)


def _draw_edit(generator: Generator, record: Provenance) -> Frames:
    rows = [
        generator.edit(
            record.seeds[0], amounts={name: record.more["amounts"]}, psi=record.psi, **record.given()
        )
        for name in record.more["directions"]
    ]
    return _enlarge(tile(np.concatenate(rows), record.columns)[None], record)


def _draw_animation(generator: Generator, record: Provenance) -> Frames:
    seeds, steps, mode = list(record.seeds), record.more["steps"], record.more.get("mode")
    if record.more.get("way") == "loop":
        frames = generator.loop(seeds, steps, mode, psi=record.psi, **record.given())
    else:
        frames = generator.interpolate(seeds[0], seeds[-1], steps, mode, psi=record.psi, **record.given())
    if record.columns:
        frames = tile(frames, record.columns)[None]
    return _enlarge(frames, record)


_DRAW_BY_KIND: Final[dict[str, Callable[[Generator, Provenance], Frames]]] = {
    PICTURE: _draw_picture,
    SHEET: _draw_sheet,
    "edit": _draw_edit,
    "walk": _draw_animation,
    "morph": _draw_animation,
}


def _draw(generator: Generator, record: Provenance) -> Frames:
    return generator.edit(list(record.seeds), psi=record.psi, **record.given())


def _compute_size(record: Provenance, generator: Generator) -> tuple[int, int, int]:
    """Return frames, height and width of what the record names.

    Raises:
        DataError: it is not a valid record of such a picture.
    """
    height, width, _ = generator.image_shape
    frames, pictures = 1, len(record.seeds)
    try:
        if record.kind == "edit":
            directions, amounts = record.more["directions"], record.more["amounts"]
            if not (_is_list_of(directions, str, int) and _is_list_of(amounts, int, float)):
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


def _is_list_of(value: object, *kinds: type) -> bool:
    return isinstance(value, list) and all(type(item) in kinds for item in value)


def _enlarge(frames: Frames, record: Provenance) -> Frames:
    return np.stack([enlarge(frame, record.scale) for frame in frames])


# Pixels of files.


@contextlib.contextmanager
def _open(body: bytes) -> Iterator[Image.Image]:
    if webp.is_webp(body):
        body = webp.mark_transparent(body)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # what matters is raised as an error
        with open_image(io.BytesIO(body), len(body)) as image:
            yield image


def _view(image: Image.Image, count: int) -> _View:
    frames, times = [], []
    try:
        for index in range(count):
            image.seek(index)
            frames.append(_read_array(image))
            times.append(float(image.info.get("duration", 0)))
    except Exception as error:  # Pillow's readers raise errors of any class on foreign bytes
        raise DataError(f"is damaged: {explain(error)}") from None
    most = max(frame.shape[-1] for frame in frames)
    return _View(str(image.format), np.stack([_add_channels(frame, most) for frame in frames]), tuple(times))


def _count_frames(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception as error:
        raise DataError(f"is damaged: {explain(error)}") from None


def _read_array(image: Image.Image) -> Frames:
    """Return a frame as it looks, uint8 [height, width, channels], in as few channels as possible."""
    if image.mode.startswith("I;16"):  # Pillow would clip values over 255
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


def _write_and_read(drawn: Frames, kind: str, record: Provenance) -> Frames:
    """Return frames after they were written in a lossy format and read again."""
    if record.columns or record.kind not in ("walk", "morph"):
        body = encode(drawn[0], kind)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"moving.{kind.lower()}")
            animation.write(drawn, path, float(record.more.get("rate", 25)))
            body = path.read_bytes()
    with _open(body) as image:
        return _view(image, _count_frames(image)).frames


def _describe_size(frames: int, height: int, width: int) -> str:
    return f"{f'{frames} frames of ' if frames != 1 else ''}{width}x{height} pixels"
