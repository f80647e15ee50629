"""Keeps tensors on disk between runs, under a key."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import safetensors
import safetensors.torch
from torch import Tensor

from gan_infer import files
from gan_infer.errors import OptionError

# Files of one kind; those unused for longest are removed first.
MOST_KEPT: Final = 16


def directory() -> Path:
    """Return the store's directory, in the folder for all that is kept between runs."""
    return files.home() / "metrics"


def load(kind: str, key: str) -> dict[str, Tensor] | None:
    """Return what is kept under a key, or None; a damaged file counts as none."""
    path = directory() / f"{kind}-{key}.safetensors"
    try:
        tensors = safetensors.torch.load(path.read_bytes())
    except (OSError, ValueError, KeyError, safetensors.SafetensorError):
        return None
    with contextlib.suppress(OSError):
        path.touch()
    return tensors


def keep(kind: str, key: str, tensors: Mapping[str, Tensor]) -> None:
    """Keep tensors for later; a full or read-only disk never fails a run."""
    path = directory() / f"{kind}-{key}.safetensors"
    body = safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()})
    with contextlib.suppress(OSError, OptionError):
        files.write(path, body)
        kept = sorted(path.parent.glob(f"{kind}-*.safetensors"), key=lambda file: file.stat().st_mtime_ns)
        for old in kept[:-MOST_KEPT]:
            old.unlink(missing_ok=True)
