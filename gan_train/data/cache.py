"""Decoded pictures kept on disk between runs: one file a source, used only while it is fresh."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from gan_infer import files
from gan_infer.errors import OptionError

_VERSION: Final = 1


@dataclasses.dataclass(frozen=True)
class Stored:
    """What a cache file holds: images uint8 [n, h, w, c], labels int64 [n], warnings."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    warnings: tuple[str, ...]


def directory() -> Path:
    """Give the cache's directory: $GANFORGE_HOME, or ganforge in the user's cache directory."""
    if home := os.environ.get("GANFORGE_HOME"):
        return Path(home) / "pictures"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ganforge" / "pictures"


def key(root: Path, paths: Sequence[Path], options: object) -> str:
    """Give a hash of the files' names, sizes and times, and of how they are to be decoded."""
    digest = hashlib.sha256(repr((_VERSION, options)).encode())
    for path in paths:
        status = path.stat()
        place = os.fsencode(path.relative_to(root))
        digest.update(b"%s\0%d\0%d\0" % (place, status.st_size, status.st_mtime_ns))
    return digest.hexdigest()[:32]


def load(root: Path, key: str) -> Stored | None:
    """Give what is stored under a key, or None; a damaged file counts as none."""
    path = directory() / f"{_stem(root)}-{key}.npz"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            return Stored(data["images"], data["labels"], tuple(str(line) for line in data["warnings"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def store(root: Path, key: str, stored: Stored) -> None:
    """Keep pictures for later in place of what was kept of the same folder; never fails a run."""
    path = directory() / f"{_stem(root)}-{key}.npz"
    warnings = np.array(stored.warnings, dtype=np.str_)
    try:
        files.write(
            path,
            lambda file: np.savez(file, images=stored.images, labels=stored.labels, warnings=warnings),
        )
        for old in directory().glob(f"{_stem(root)}-*.npz"):
            if old != path:
                old.unlink(missing_ok=True)
    except (OSError, OptionError):
        return


def _stem(root: Path) -> str:
    return hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
