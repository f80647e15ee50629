"""Measures whether an invisible watermark survives in pictures of these sizes: the reason why we add none.

    python -m benchmarks.watermark [MODEL ...]

A keyed pattern of +-`strength` pixel values, smoothed to middle frequencies, is added to each picture
(spread spectrum; Cox et al. 1997) and detected, without the original, by correlation with what remains
after a 3x3 mean is subtracted. This is the easiest task: one key, present or not, no payload. In between,
pictures are changed as they often are (resized, saved again). For each change: the share of marked pictures
in which the mark is found, at a threshold that 1 % of unmarked and equally changed ones pass.
One JSON line per model and strength; `psnr` in dB says how much the mark changes the picture.
"""

from __future__ import annotations

import argparse
import io
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from gan_infer import Generator
from gan_infer.outputs.image import to_pil

PICTURES = 500
STRENGTHS = (2, 4, 8)
KEY = 2026

Picture = npt.NDArray[np.uint8]
Field = npt.NDArray[np.float64]


def smooth(field: Field) -> Field:
    """Return the 3x3 mean of [..., height, width, channels], edges repeated."""
    padded = np.pad(field, [(0, 0)] * (field.ndim - 3) + [(1, 1), (1, 1), (0, 0)], mode="edge")
    height, width = field.shape[-3:-1]
    parts = [padded[..., y : y + height, x : x + width, :] for y in range(3) for x in range(3)]
    mean: Field = np.mean(parts, axis=0)
    return mean


def pattern(shape: tuple[int, ...]) -> Field:
    """Return the key's pattern, of mean square 1, the same in all channels."""
    noise = np.random.default_rng(KEY).choice([-1.0, 1.0], (*shape[:2], 1))
    field = noise + 2 * smooth(noise)
    field -= field.mean()
    return np.broadcast_to(field / np.sqrt((field**2).mean()), shape)


def mark(pictures: Picture, strength: float) -> Picture:
    """Add the pattern, rounded and clipped to pixel values."""
    field = pictures + strength * pattern(pictures.shape[1:])
    return np.clip(np.rint(field), 0, 255).astype(np.uint8)


def correlate(pictures: Picture) -> Field:
    """Return each picture's correlation with the pattern, wherever a crop may have moved it."""
    field = pictures.astype(np.float64)
    rest = field - smooth(field)
    mine = pattern(pictures.shape[1:])
    mine = mine - smooth(mine)
    rest /= np.sqrt((rest**2).sum(axis=(1, 2, 3), keepdims=True)) + 1e-9
    shifted = [np.roll(mine, (y, x), (0, 1)) for y in range(-2, 3) for x in range(-2, 3)]
    strongest: Field = np.max([(rest * one).sum(axis=(1, 2, 3)) for one in shifted], axis=0)
    return strongest


def encode(kind: str, **options: Any) -> Callable[[Image.Image], Image.Image]:
    """Return a function that writes a picture in a format and reads it again."""

    def through(image: Image.Image) -> Image.Image:
        body = io.BytesIO()
        image.save(body, kind, **options)
        return Image.open(io.BytesIO(body.getvalue())).convert(image.mode)

    return through


def resize(factor: float) -> Callable[[Image.Image], Image.Image]:
    """Return a function that resizes a picture bilinearly, and back."""

    def through(image: Image.Image) -> Image.Image:
        size = (round(image.width * factor), round(image.height * factor))
        return image.resize(size, Image.Resampling.BILINEAR).resize(image.size, Image.Resampling.BILINEAR)

    return through


def crop(image: Image.Image) -> Image.Image:
    """Cut two pixels off at the top and left, and repeat the edge at the other side."""
    array = np.asarray(image)
    cut = array[2:, 2:]
    return Image.fromarray(np.pad(cut, [(0, 2), (0, 2)] + [(0, 0)] * (array.ndim - 2), mode="edge"))


WAYS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "png": encode("PNG"),
    "jpeg 85": encode("JPEG", quality=85),
    "jpeg 60": encode("JPEG", quality=60),
    "webp 80": encode("WEBP", quality=80),
    "twice as large and back": resize(2),
    "half as large and back": resize(0.5),
    "cropped by 2": crop,
}


def change(pictures: Picture, way: Callable[[Image.Image], Image.Image]) -> Picture:
    """Change every picture in one way."""
    out = [np.asarray(way(to_pil(picture))) for picture in pictures]
    return np.stack(out).reshape(pictures.shape)


def measure(model: str) -> list[dict[str, object]]:
    """Measure a model's pictures at every strength and change."""
    generator = Generator.load(model, device="cpu")
    plain = generator.sample(PICTURES, seed=0)
    others = generator.sample(PICTURES, seed=PICTURES)
    lines: list[dict[str, object]] = []
    for strength in STRENGTHS:
        with_mark = mark(plain, strength)
        error = float(((with_mark.astype(float) - plain) ** 2).mean())
        found = {}
        for name, way in WAYS.items():
            bound = np.quantile(correlate(change(others, way)), 0.99)
            found[name] = round(float((correlate(change(with_mark, way)) > bound).mean()), 3)
        psnr = round(10 * math.log10(255**2 / error), 1)
        lines.append({"model": generator.name, "strength": strength, "psnr": psnr, "found": found})
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=["digits", "fashion", "cifar10"], metavar="MODEL")
    for model in parser.parse_args().models:
        for line in measure(model):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
