"""The pictures and judgements that a model file says it must give: compares them with what it gives.

A generator's file holds the hash of each golden picture and, since such files are written so, some of the
pictures themselves. On another processor a level may differ by one, and the hash with it; where the
picture is there, that can be told from damage. A critic's judgements hold within 0.001 on any machine.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer.conditions.spec import Feed
from gan_infer.errors import ModelError
from gan_infer.latent import seeds
from gan_infer.modelfile.metadata import CriticMetadata, Golden, GoldenResult, GoldenScore, Metadata

if TYPE_CHECKING:
    import numpy.typing as npt

    from gan_infer.modelfile.trial.host import Drawn

    Pictures = npt.NDArray[np.uint8]

# The run of an open session: names of outputs, inputs by name.
Run = Callable[[Sequence[str], Feed], Any]

# What came of a comparison, the worst last.
NONE: Final = "none"
SAME: Final = "same"
CLOSE: Final = "close"
UNTOLD: Final = "untold"
CHANGED: Final = "changed"
_ORDER: Final = (NONE, SAME, CLOSE, UNTOLD, CHANGED)

# How far a picture may be off elsewhere, in levels of 256; at float16 more is no proof of damage.
LEVELS: Final = 1
LEVELS_HALF: Final = 4
SCORE: Final = 0.001
# Of more, or of larger pictures, nothing is drawn: a file must not choose what comparing it costs.
_MAX_CASES: Final = 16
_MAX_ELEMENTS: Final = 2**24


def feeds(metadata: Metadata | CriticMetadata) -> list[Feed]:
    """Return the inputs of each golden picture or judgement that is compared, by name.

    Raises:
        ModelError: a critic's golden picture cannot be read, or what is given beside it is no condition.
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
    """Compare what the file gave for the first of its `feeds` with what it says it must give."""
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
    """Return the worst result; NONE where nothing was compared."""
    return max((each.result for each in compared), key=_ORDER.index, default=NONE)


def draw(run: Run, metadata: Metadata | CriticMetadata) -> tuple[GoldenResult, ...]:
    """Compare in this process, by the `run` of an open session."""
    from gan_infer.modelfile.trial.host import Drawn

    found: list[Drawn] = []
    for each in feeds(metadata):
        values = np.ascontiguousarray(run([metadata.outputs[0].name], each)[0])
        found.append(Drawn(hashlib.sha256(values.data).hexdigest(), values))
    return compare(metadata, found)


def _compare_score(golden: GoldenScore, got: Drawn) -> GoldenResult:
    if got.values is None or got.values.dtype != np.float32 or got.values.size != 1:
        return golden.compared(CHANGED)
    off = abs(float(got.values.reshape(())) - golden.realness)
    if off <= 1e-6:  # to which judgements are rounded
        return golden.compared(SAME, off=off)
    return golden.compared(CLOSE if off <= SCORE else CHANGED, off=off)  # a NaN is not less


def _compare_picture(golden: Golden, got: Drawn, metadata: Metadata) -> GoldenResult:
    if got.sha256 == golden.sha256:
        return golden.compared(SAME, golden.seed, 0)
    if not golden.png or got.values is None:
        return golden.compared(UNTOLD, golden.seed)
    if got.values.dtype != np.uint8 or got.values.shape != (1, *metadata.image_shape):
        return golden.compared(CHANGED, golden.seed)
    kept = kept_picture(golden, metadata.image_shape)
    step = _step(metadata.image_shape, kept.shape)
    off = int(np.abs(kept.astype(np.int16) - got.values[0, ::step, ::step].astype(np.int16)).max())
    result = CLOSE if off <= LEVELS else CHANGED
    if metadata.precision != "float32" and LEVELS < off <= LEVELS_HALF:
        result = UNTOLD
    return golden.compared(result, golden.seed, off)


# Pictures in a file.


def kept_picture(golden: Golden, shape: tuple[int, int, int]) -> Pictures:
    """Return the picture that a generator's file keeps: uint8, each k-th pixel of one of `shape`.

    Raises:
        ModelError: it is no PNG, or of another size.
    """
    kept = _decode(golden.png, shape, "generator")
    step = _step(shape, kept.shape)
    if kept.shape != (-(-shape[0] // step), -(-shape[1] // step), shape[2]):
        raise ModelError(f"a golden picture of the generator is of {list(kept.shape)}; export it again")
    return kept


def golden_picture(golden: GoldenScore, shape: tuple[int, int, int]) -> Pictures:
    """Return the picture of a golden judgement, uint8 of `shape`, which is (height, width, channels).

    Raises:
        ModelError: it is no PNG, or not one that becomes `shape` when each pixel is repeated k times
            both ways, with the smallest k that is enough, and what is over is cut off.
    """
    small = _decode(golden.png, shape, "critic")
    factor = _step(shape, small.shape)
    needed = small[: -(-shape[0] // factor), : -(-shape[1] // factor)]  # the rest is as long as a file likes
    large = needed.repeat(factor, 0).repeat(factor, 1)[: shape[0], : shape[1]]
    if large.shape != shape:
        raise ModelError(f"a golden picture of the critic is of {list(small.shape)}; export it again")
    return np.ascontiguousarray(large)


def keep_pictures(pictures: Sequence[Pictures], most_bytes: int = 64 * 1024) -> tuple[str, ...]:
    """Return each picture as PNG in base64; of large ones each k-th pixel, with the smallest k that fits.

    Args:
        pictures: uint8 [height, width, channels] each.
        most_bytes: of all texts together.
    """
    return tuple(_shrink(picture, most_bytes // len(pictures)) for picture in pictures)


def _shrink(picture: Pictures, most_bytes: int) -> str:
    step = max(1, round((picture.size / most_bytes / 16) ** 0.5))  # PNG hardly shrinks to a sixteenth
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
    except Exception as error:  # Pillow's readers meet foreign bytes with errors of every class
        raise ModelError(f"a golden picture of the {kind} is no PNG ({error}); export it again") from None
    return small[:, :, None] if small.ndim == 2 else small
