"""Compares the golden pictures or scores in a model file with what the model gives.

A generator's file holds the hash of each golden picture and, except in older files, the pictures. On another
processor a pixel value can differ by 1, and then the hash differs; only with the picture this can be
distinguished from damage. A critic's scores are the same within 0.001 on every machine.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer.conditions.spec import IMAGE, Feed
from gan_infer.errors import ModelError
from gan_infer.latent import seeds
from gan_infer.modelfile.metadata import CriticMetadata, Golden, GoldenResult, GoldenScore, Metadata
from gan_infer.outputs.base import OUTPUTS

if TYPE_CHECKING:
    import numpy.typing as npt

    from gan_infer.modelfile.trial.host import Drawn

    Pictures = npt.NDArray[np.uint8]

# The `run` of an open session: output names and input name -> array to the outputs.
Run = Callable[[Sequence[str], Feed], Any]

# The results of a comparison, the worst last.
NONE: Final = "none"
SAME: Final = "same"
CLOSE: Final = "close"
UNTOLD: Final = "untold"
CHANGED: Final = "changed"
_ORDER: Final = (NONE, SAME, CLOSE, UNTOLD, CHANGED)

# The difference of pixel values that is accepted; with float16, more can have other reasons than damage.
TOLERANCE: Final = 1
TOLERANCE_HALF: Final = 4
SCORE_TOLERANCE: Final = 0.001
# More items, or larger pictures, are not drawn: a file must not choose how long this takes.
_MAX_CASES: Final = 16
_MAX_ELEMENTS: Final = 2**24


def feeds(metadata: Metadata | CriticMetadata) -> list[Feed]:
    """Return the feed of each golden picture or score.

    Raises:
        ModelError: a critic's golden picture cannot be read, or a value is not valid for a condition.
    """
    if isinstance(metadata, CriticMetadata) and np.prod(metadata.image_shape) > _MAX_ELEMENTS:
        return []
    conditions = metadata.conditions()
    given: list[Feed] = []
    for golden in metadata.golden[:_MAX_CASES]:
        seed = np.array([getattr(golden, "seed", 0)], np.uint64)
        given.append({**_main_input(golden, metadata), **golden.feed(conditions, seed)})
    return given


def _main_input(golden: Golden | GoldenScore, metadata: Metadata | CriticMetadata) -> Feed:
    if isinstance(metadata, Metadata):
        assert isinstance(golden, Golden)
        return {"latent": seeds.latents(golden.seed, metadata.latent_dim, metadata.latent_distribution)}
    assert isinstance(golden, GoldenScore)
    return {"image": golden_picture(golden, metadata.image_shape)[None]}


def compare(metadata: Metadata | CriticMetadata, drawn: Sequence[Drawn]) -> tuple[GoldenResult, ...]:
    """Compare what the file gave for the first of its `feeds` with what it says."""
    found: list[GoldenResult] = []
    for golden, got in zip(metadata.golden, drawn, strict=False):
        if isinstance(golden, GoldenScore):
            found.append(_compare_score(golden, got))
        else:
            assert isinstance(metadata, Metadata)
            assert isinstance(golden, Golden)
            found.append(_compare_picture(golden, got, metadata))
    return tuple(found)


def worst(compared: Iterable[GoldenResult]) -> str:
    """Return the worst result; NONE if nothing was compared."""
    return max((each.result for each in compared), key=_ORDER.index, default=NONE)


def draw(run: Run, metadata: Metadata | CriticMetadata) -> tuple[GoldenResult, ...]:
    """Compare in this process, with the `run` of an open session."""
    from gan_infer.modelfile.trial.host import Drawn

    found: list[Drawn] = []
    for each in feeds(metadata):
        values = np.ascontiguousarray(run([metadata.outputs[0].name], each)[0])
        found.append(Drawn(hashlib.sha256(values.data).hexdigest(), values))
    return compare(metadata, found)


def _compare_score(golden: GoldenScore, got: Drawn) -> GoldenResult:
    if got.values is None or got.values.dtype != np.float32 or got.values.size != 1:
        return golden.make_result(CHANGED)
    off = abs(float(got.values.reshape(())) - golden.realness)
    if off <= 1e-6:  # scores are rounded to this
        return golden.make_result(SAME, off=off)
    return golden.make_result(CLOSE if off <= SCORE_TOLERANCE else CHANGED, off=off)  # a NaN is not less


def _compare_picture(golden: Golden, got: Drawn, metadata: Metadata) -> GoldenResult:
    if got.sha256 == golden.sha256:
        return golden.make_result(SAME, golden.seed, 0)
    if not golden.png or got.values is None:
        return golden.make_result(UNTOLD, golden.seed)
    if got.values.dtype != np.uint8 or got.values.shape != (1, *metadata.image_shape):
        return golden.make_result(CHANGED, golden.seed)
    kept = kept_picture(golden, metadata.image_shape)
    step = _step(metadata.image_shape, kept.shape)
    off = int(OUTPUTS[IMAGE].compare(got.values[0, ::step, ::step], kept))
    result = CLOSE if off <= TOLERANCE else CHANGED
    if metadata.precision != "float32" and TOLERANCE < off <= TOLERANCE_HALF:
        result = UNTOLD
    return golden.make_result(result, golden.seed, off)


# Pictures in a file.


def kept_picture(golden: Golden, shape: tuple[int, int, int]) -> Pictures:
    """Return the picture in a generator's file, uint8; of a large picture of `shape`, every k-th pixel.

    Raises:
        ModelError: it is not a PNG, or has a wrong size.
    """
    kept = _decode(golden.png, shape, "generator")
    step = _step(shape, kept.shape)
    if kept.shape != (-(-shape[0] // step), -(-shape[1] // step), shape[2]):
        raise ModelError(f"a golden picture of the generator is of {list(kept.shape)}; export it again")
    return kept


def golden_picture(golden: GoldenScore, shape: tuple[int, int, int]) -> Pictures:
    """Return the picture of a golden score, uint8 of `shape`, which is (height, width, channels).

    Raises:
        ModelError: it is not a PNG, or does not become `shape` if each pixel is repeated k times in both
            directions, with the smallest k that is enough, and the rest is cut off.
    """
    small = _decode(golden.png, shape, "critic")
    factor = _step(shape, small.shape)
    needed = small[
        : -(-shape[0] // factor), : -(-shape[1] // factor)
    ]  # the file may hold any number of pixels
    large = needed.repeat(factor, 0).repeat(factor, 1)[: shape[0], : shape[1]]
    if large.shape != shape:
        raise ModelError(f"a golden picture of the critic is of {list(small.shape)}; export it again")
    return np.ascontiguousarray(large)


def keep_pictures(pictures: Sequence[Pictures], most_bytes: int = 64 * 1024) -> tuple[str, ...]:
    """Return each picture as PNG in base64; of large ones every k-th pixel, with the smallest k that fits.

    Args:
        pictures: uint8 [height, width, channels] each.
        most_bytes: the limit for all texts together.
    """
    return tuple(_shrink(picture, most_bytes // len(pictures)) for picture in pictures)


def _shrink(picture: Pictures, most_bytes: int) -> str:
    step = max(1, round((picture.size / most_bytes / 16) ** 0.5))  # a PNG is hardly smaller than a sixteenth
    while len(text := _encode(picture[::step, ::step])) > most_bytes:
        step += 1
    return text


def _step(shape: tuple[int, ...], small: tuple[int, ...]) -> int:
    return max(-(-shape[0] // small[0]), -(-shape[1] // small[1]))


def _encode(picture: Pictures) -> str:
    from gan_infer.outputs.image import to_pil

    body = io.BytesIO()
    to_pil(picture).save(body, "PNG", optimize=True)
    return base64.b64encode(body.getvalue()).decode()


def _decode(text: str, shape: tuple[int, int, int], kind: str) -> Pictures:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(base64.b64decode(text)), formats=["PNG"]) as image:
            if image.width > shape[1] or image.height > shape[0]:
                raise ValueError(f"{image.width}x{image.height} pixels are too many")
            small = np.asarray(image, np.uint8)
    except Exception as error:  # Pillow raises errors of every class on damaged bytes
        raise ModelError(f"a golden picture of the {kind} is no PNG ({error}); export it again") from None
    return small[:, :, None] if small.ndim == 2 else small
