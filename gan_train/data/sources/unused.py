"""Recognises files that are never trained on: what systems leave behind, and files of other kinds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from gan_train.data.names import escape

# In lower case; names that begin with a dot are left out as well (.git, .Trash-1000, .@__thumb, ._1.png).
_FOLDERS: Final = frozenset(
    {
        *("__macosx", "network trash folder", "temporary items", "thevolumesettingsfolder"),  # macOS
        *("$recycle.bin", "recycler", "system volume information"),  # Windows
        *("@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "~snapshot"),  # NAS
        *("@tmp", "@sharebin", "@transcode"),
        *("lost+found", "__pycache__"),
    }
)
_FILES: Final = frozenset({"desktop.ini", "icon\r", "picasa.ini", "zbthumbnail.info"})
_FILE_BEGINNINGS: Final = ("~$", "thumbs.db", "ehthumbs")
# Half a download and an editor's backup begin with the same bytes as their picture.
_FILE_ENDINGS: Final = (
    *("~", ".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp"),
    *("@synoeastream", "@synoresource"),
)
_RECOVERED: Final = re.compile(r"found\.\d{3}")

_MOST_KINDS: Final = 6

_CONVERT: Final = "convert pictures to PNG to learn them, too"
_FRAMES: Final = "draw pictures from videos first, as by ffmpeg -i film.mp4 frames/%05d.png"
_SAVE: Final = "numpy.savez(file, images=..., labels=...)"
# The endings of one kind, and how to train on the content of such a file.
_ADVICE: Final = (
    (
        ".tga .exr .hdr .psd .svg .eps .ai .xcf .ico .icns .dds .pcx .sgi .jls .jpf .dcm .dicom .pdf "
        ".nef .cr2 .cr3 .arw .dng .orf .rw2 .raf .pef .srw .fits .nii .nrrd .mha .czi .svs",
        _CONVERT,
    ),
    (".mp4 .mov .avi .mkv .webm .m4v .mpg .mpeg .wmv .3gp", _FRAMES),
    (".npz", "name the .npz file itself to learn its arrays"),
    (".npy", 'make an .npz of it: numpy.savez("set.npz", images=numpy.load("x.npy"))'),
    (".pkl .pickle .pt .pth .joblib", f"pickles are never opened; load them yourself, and use {_SAVE}"),
    (
        ".mat .h5 .hdf5 .parquet .arrow .tfrecord .tfrecords .lmdb .mdb .rec .bin",
        f"take its arrays out by the library of that format, and use {_SAVE}",
    ),
    (".zip", "name a zip file itself to learn what is in it"),
    (".tar .gz .tgz .bz2 .xz .7z .rar .zst", "unpack archives, and name the folder"),
    (
        ".csv .tsv .json .jsonl .xlsx .xls",
        "a table has no pictures; give their folder, and the table as --labels",
    ),
)
_ALWAYS_GIVEN: Final = (_CONVERT, _FRAMES)
# How files begin that may have any name.
_BEGINNINGS: Final = (
    (b"\x93NUMPY", ".npy"),
    (b"\x89HDF\r\n", ".h5"),
    (b"MATLAB 5.0 MAT-file", ".mat"),
    (b"PAR1", ".parquet"),
    (b"ARROW1", ".arrow"),
    (b"\x80\2", ".pkl"),
    (b"\x80\3", ".pkl"),
    (b"\x80\4", ".pkl"),
    (b"\x80\5", ".pkl"),
    (b"(dp", ".pkl"),
    (b"\x1f\x8b", ".gz"),
    (b"BZh", ".bz2"),
    (b"\xfd7zXZ", ".xz"),
    (b"7z\xbc\xaf", ".7z"),
    (b"Rar!", ".rar"),
)


def is_left_behind(name: str, folder: bool) -> bool:
    """Return whether systems or programs leave such a folder or file behind; it is never meant as data."""
    lower = name.lower()
    if name.startswith("."):
        return True
    if folder:
        return lower in _FOLDERS or bool(_RECOVERED.fullmatch(lower))
    return (
        lower in _FILES
        or lower in _FOLDERS
        or lower.startswith(_FILE_BEGINNINGS)
        or lower.endswith(_FILE_ENDINGS)
    )


def make_notes(others: Sequence[str], left_behind: Sequence[str]) -> list[str]:
    """Return notes on files that were passed over: other kinds, and those that systems leave behind.

    Args:
        others: names of files that are not read as pictures.
        left_behind: names of files, and of folders (ending in "/"), for which `is_left_behind` holds.
    """
    lines = []
    if others:
        what = f"{len(others):,} file{'s' * (len(others) != 1)} that {'are' if len(others) > 1 else 'is'}"
        lines.append(
            f"passed over {what} not read as pictures: {count_kinds(others)}{_advise_on_pictures(others)}"
        )
    if left_behind:
        names = Counter(_name_group(name) for name in left_behind)
        lines.append(f"passed over what systems leave behind: {_format_counts(names)}")
    return lines


def count_kinds(names: Sequence[str]) -> str:
    """Return how many files there are of each kind, as "60 .tga, 3 .dcm"."""
    return _format_counts(Counter(map(_find_kind, names)))


def find_advice(names: Sequence[str]) -> str:
    """Return advice on training on files of the most frequent kind, "" for none."""
    for kind, _ in Counter(map(_find_kind, names)).most_common():
        for endings, what in _ADVICE:
            if kind in endings.split():
                return what
    return ""


def find_advice_on(name: str, beginning: bytes) -> str:
    """Return advice on a file of a kind that is not read, "" for none."""
    found = next((ending for magic, ending in _BEGINNINGS if beginning.startswith(magic)), "")
    return find_advice([f"x{found}"] if found else [name])


def _advise_on_pictures(names: Sequence[str]) -> str:
    found = {_find_kind(name) for name in names}
    texts = [
        what for endings, what in _ADVICE if what in _ALWAYS_GIVEN and found.intersection(endings.split())
    ]
    return f" ({'; '.join(texts)})" if texts else ""


def _find_kind(name: str) -> str:
    last = PurePosixPath(name).name
    if last.startswith("data_batch_") or last == "test_batch":  # CIFAR's, as they are handed out
        return ".pickle"
    suffix = PurePosixPath(last).suffix.lower()
    return suffix if suffix and len(suffix) < 10 else "without an ending"


def _name_group(name: str) -> str:
    """Return the name under which a left-over file or folder is counted."""
    last = PurePosixPath(name).name
    lower = last.lower()
    if lower.startswith("._"):
        return "._*"
    if lower.startswith("~$"):
        return "~$*"
    if lower.startswith(".~lock"):
        return ".~lock*"
    ending = next((ending for ending in _FILE_ENDINGS if lower.endswith(ending)), "")
    return f"*{ending}" if ending and not name.endswith("/") else last


def _format_counts(counts: Counter[str]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    texts = [f"{count:,} {escape(name)}" for name, count in ordered[:_MOST_KINDS]]
    more = sum(count for _, count in ordered[_MOST_KINDS:])
    return ", ".join(texts) + (f" and {more:,} more" if more else "")
