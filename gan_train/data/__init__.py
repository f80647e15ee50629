"""From a source that a person names to a PictureSet: the built-in digits, a folder, IDX files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from gan_infer.errors import DataError
from gan_train.config import MAX_SIDE, MIN_SIDE, DataOptions
from gan_train.data import decode, folder, idx
from gan_train.data.folder import Progress
from gan_train.data.pictures import PictureSet

__all__ = ["BUILT_IN", "PictureSet", "load"]

BUILT_IN: Final = "digits"


def _silent(done: int, total: int) -> None:
    pass


def load(options: DataOptions, progress: Progress = _silent) -> PictureSet:
    """Read the pictures that the options name, at the size that they name.

    Args:
        options: `source` is "digits", a folder of pictures (with a subfolder a class, or none),
            a folder that holds IDX files, or an IDX file of images (labels are found beside it).
            A folder named digits is reached as ./digits.
        progress: called with (files done, files in all) while files are decoded.

    Raises:
        DataError: nothing there, or it cannot be used; names the file.
    """
    path = Path(options.source)
    if options.source == BUILT_IN:
        built_in = Path(__file__).parent / BUILT_IN
        found = idx.pair(built_in / "images-idx3-ubyte.gz")
    elif path.is_dir():
        found = idx.pair_in(path)
    else:
        found = idx.pair(path)
    if found is not None:
        pictures = _from_idx(options, *found)
    elif path.is_dir():
        pictures = folder.read(
            path, options.height, options.width, options.channels, options.on_bad == "skip", progress
        )
    elif path.exists():
        raise DataError(f"{path} is a file, but no IDX file; give a folder of pictures, or {BUILT_IN!r}")
    else:
        raise DataError(f"no data at {str(path)!r}; give a folder of pictures, or {BUILT_IN!r}")
    return pictures.checked()


def _from_idx(options: DataOptions, images: Path, labels: Path | None) -> PictureSet:
    pixels, classes = idx.read_pair(images, labels)
    own = pixels.shape[1:]
    default = own[:2] if min(own[:2]) >= MIN_SIDE and max(own[:2]) <= MAX_SIDE else (64, 64)
    wanted = (options.height or default[0], options.width or default[1], options.channels or own[2])
    if own != wanted and len(pixels):
        pixels = np.stack([decode.fit_array(picture, *wanted) for picture in pixels])
    names = () if classes is None else tuple(str(i) for i in range(int(classes.max(initial=0)) + 1))
    built_in = options.source == BUILT_IN
    return PictureSet(
        name=BUILT_IN if built_in else images.resolve().parent.name,
        images=pixels,
        labels=classes,
        class_names=names,
        licence="CC BY-SA 3.0 (MNIST)" if built_in else "",
        preparation="as stored" if own == wanted else decode.PREPARATION,
    )
