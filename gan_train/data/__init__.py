"""Loads the pictures of a source: digits, a folder, a zip file, an .npz file or IDX files."""

from __future__ import annotations

import dataclasses

from gan_infer.errors import DataError
from gan_train.config.options import DataOptions
from gan_train.data.columns import CLASS, Column
from gan_train.data.data_set import DataSet
from gan_train.data.decoding import decode_all
from gan_train.data.listing import Progress
from gan_train.data.pictures import PictureSet
from gan_train.data.sources import open_source
from gan_train.data.sources.open_source import BUILT_IN

__all__ = ["BUILT_IN", "Column", "DataSet", "PictureSet", "load"]


def _silent(done: int, total: int) -> None:
    pass


def load(options: DataOptions, progress: Progress = _silent) -> PictureSet:
    """Read the pictures of a source, as the options say.

    Args:
        options: `source` is "digits", a folder of pictures (with a subfolder for each class, or none),
            a zip file of either, a folder in one (photos.zip/test), an .npz file of arrays, an IDX
            file of images (its labels are found beside it) or a folder that holds such files. A folder
            named digits is reached as ./digits.
        progress: called with (files done, files in total) while files are decoded.

    Returns:
        Columns in memory; above 1 GiB, pictures are a read-only np.memmap of a file in the cache.

    Raises:
        DataError: there is nothing, or it cannot be used; names the file.
    """
    with open_source.open_source(options) as listing:
        pictures = decode_all.load_set(listing, options, progress, PictureSet)
    if not options.class_names:
        return pictures
    return _rename_classes(pictures, options)


def _rename_classes(pictures: PictureSet, options: DataOptions) -> PictureSet:
    """Return the pictures, their classes named as the options say.

    Raises:
        DataError: there are not as many, two are the same, or one is empty.
    """
    names = tuple(name.strip() for name in options.class_names.split(","))
    if len(names) != len(pictures.class_names) or len(set(names)) != len(names) or "" in names:
        raise DataError(
            f"data.class_names gives {len(names)} names ({', '.join(names)}) for the "
            f"{len(pictures.class_names)} classes of {options.source}; give each class its own name"
        )
    column = pictures.columns[CLASS]
    return pictures.with_columns(dataclasses.replace(column, facts={**column.facts, "class_names": names}))
