"""From a source that a person names to a PictureSet: digits, a folder, a zip file, .npz or IDX files."""

from __future__ import annotations

import dataclasses

from gan_infer.errors import DataError
from gan_train.config.options import DataOptions
from gan_train.data.decoding import decode_all
from gan_train.data.listing import Progress
from gan_train.data.pictures import PictureSet
from gan_train.data.sources import open_source
from gan_train.data.sources.open_source import BUILT_IN

__all__ = ["BUILT_IN", "PictureSet", "load"]


def _silent(done: int, total: int) -> None:
    pass


def load(options: DataOptions, progress: Progress = _silent) -> PictureSet:
    """Read the pictures that the options name, at the size that they name.

    Args:
        options: `source` is "digits", a folder of pictures (with a subfolder a class, or none),
            a zip file of either, a folder in one (photos.zip/test), an .npz file of arrays, an IDX
            file of images (labels are found beside it) or a folder that holds such files. A folder
            named digits is reached as ./digits.
        progress: called with (files done, files in all) while files are decoded.

    Returns:
        Images in memory, or above 1 GiB a read-only np.memmap of a file in the cache.

    Raises:
        DataError: nothing there, or it cannot be used; names the file.
    """
    with open_source.opened(options) as listing:
        pictures = decode_all.pictures(listing, options, progress)
    if not options.class_names:
        return pictures
    names = tuple(name.strip() for name in options.class_names.split(","))
    if len(names) != len(pictures.class_names) or len(set(names)) != len(names) or "" in names:
        raise DataError(
            f"data.class_names gives {len(names)} names ({', '.join(names)}) for the "
            f"{len(pictures.class_names)} classes of {options.source}; give each class a name of its own"
        )
    return dataclasses.replace(pictures, class_names=names)
