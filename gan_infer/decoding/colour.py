"""Converts the colours of a file to sRGB: by its ICC profile, by a PNG's gamma, or from CMYK.

Pixels without a profile, and those with a profile that equals sRGB, stay unchanged. A PNG's cHRM and
cICP are not followed: nearly every file with cHRM means sRGB.
"""

from __future__ import annotations

import functools
import io
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageCms

MAX_PROFILE_BYTES: Final = 4 * 1024**2

# Remarks on a picture, to be read after its name or after "pictures".
CONVERTED: Final = "had a colour profile and were turned into sRGB"
GAMMA: Final = "had a gamma of their own and were turned into sRGB"
UNUSABLE: Final = "have a colour profile that cannot be used; their pixels were taken as they are"
PLAIN_CMYK: Final = "are CMYK JPEGs without Adobe's mark; 0 was taken for no ink"

# In pixel values: rounding alone makes such a difference between two programs' profiles of one space.
_SAME_VALUES: Final = 2
_SRGB_GAMMA: Final = 1 / 2.2
_NEAR: Final = 0.05
_SPACES: Final = {"L": ("GRAY", "RGB"), "RGB": ("RGB",), "CMYK": ("CMYK",)}
_CLASSES: Final = ("scnr", "mntr", "prtr", "spac")
_FLAGS: Final = ImageCms.Flags.BLACKPOINTCOMPENSATION


def to_srgb(image: Image.Image, info: dict[Any, Any], remarks: list[str]) -> Image.Image:
    """Convert a picture of 8 bits to sRGB; return the same object if it is sRGB already.

    Args:
        image: a decoded picture.
        info: Pillow's information on the file.
        remarks: a list; a note on what was done is added.
    """
    if image.mode == "LAB":
        return _convert_lab(image)
    profile = info.get("icc_profile")
    if isinstance(profile, bytes) and profile:
        return _convert_by_profile(image, profile, remarks)
    gamma = info.get("gamma")
    if info.get("srgb") is None and isinstance(gamma, (int, float)) and 0.1 <= gamma <= 10:
        return _convert_by_gamma(image, float(gamma), remarks)
    return image


def invert(image: Image.Image) -> Image.Image:
    """Return a picture with every channel inverted."""
    return ImageChops.invert(image)


def _convert_by_profile(image: Image.Image, profile: bytes, remarks: list[str]) -> Image.Image:
    plain = _drop_palette(image)
    alpha = plain.getchannel("A") if plain.mode in ("RGBA", "LA") else None
    opaque = plain.convert(plain.mode[:-1]) if alpha is not None else plain
    try:
        if len(profile) > MAX_PROFILE_BYTES:
            raise ImageCms.PyCMSError("too large")
        transform = _make_transform(profile, opaque.mode)
        if transform is None:
            return image
        if opaque.mode == "L" and transform.input_mode == "RGB":
            changed = transform.apply(opaque.convert("RGB")).getchannel("G")
        elif opaque.mode == "L":
            changed = transform.apply(opaque).getchannel("G")
        else:
            changed = transform.apply(opaque)
    # Profiles are foreign bytes and fail with errors of several classes.
    except Exception:
        remarks.append(UNUSABLE)
        return image
    remarks.append(CONVERTED)
    if alpha is not None:
        changed.putalpha(alpha)
    return changed


def _drop_palette(image: Image.Image) -> Image.Image:
    """Convert to a mode that a profile can be applied to: L, LA, RGB, RGBA or CMYK."""
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.has_transparency_data and image.mode in ("L", "RGB", "1"):
        return image.convert("RGBA" if image.mode == "RGB" else "LA")
    targets = {"1": "L", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB", "HSV": "RGB"}
    target = targets.get(image.mode)
    return image.convert(target) if target else image


@functools.lru_cache(maxsize=64)
def _make_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Make the transform of pixels of `mode` to sRGB; None if they are sRGB already.

    Raises:
        Exception: of any class; the profile is broken, or for another kind of pixels.
    """
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space, kind = source.profile.xcolor_space.strip(), source.profile.device_class
    if space not in _SPACES.get(mode, ()) or kind not in _CLASSES:
        raise ImageCms.PyCMSError(f"a profile of {space} for {mode}")
    input_mode = "RGB" if space == "RGB" else mode
    transform = ImageCms.ImageCmsTransform(
        source, _make_srgb(), input_mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC, flags=_FLAGS
    )
    if input_mode == "CMYK":
        return transform
    probe = _make_greys() if mode == "L" else _make_colours()
    before = Image.fromarray(probe)
    after = np.asarray(transform.apply(before.convert(input_mode)), np.int16)
    expected = np.asarray(before.convert("RGB"), np.int16)
    return None if np.abs(after - expected).max() <= _SAME_VALUES else transform


@functools.cache
def _make_srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _convert_lab(image: Image.Image) -> Image.Image:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    transform = ImageCms.ImageCmsTransform(
        lab, _make_srgb(), "LAB", "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC
    )
    return transform.apply(image)


def _make_greys() -> npt.NDArray[np.uint8]:
    return np.arange(256, dtype=np.uint8)[None]


def _make_colours() -> npt.NDArray[np.uint8]:
    side = np.linspace(0, 255, 18).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(side, side, side, indexing="ij"), -1)
    return grid.reshape(18 * 18, 18, 3)


def _convert_by_gamma(image: Image.Image, gamma: float, remarks: list[str]) -> Image.Image:
    """Convert pixel values that were stored as light to the power of `gamma`."""
    if abs(gamma / _SRGB_GAMMA - 1) <= _NEAR:
        return image
    plain = _drop_palette(image)
    if plain.mode not in ("L", "LA", "RGB", "RGBA"):
        return image
    light = np.linspace(0, 1, 256) ** (1 / gamma)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    table = (encoded * 255).round().astype(int).tolist()
    bands = len(plain.getbands())
    with_alpha = plain.mode in ("LA", "RGBA")
    remarks.append(GAMMA)
    return plain.point(table * (bands - with_alpha) + list(range(256)) * with_alpha)
