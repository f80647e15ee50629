"""Derives randomness from (seed, purpose, position), so that resuming needs no generator state."""

from __future__ import annotations

import hashlib

import torch


def derive(seed: int, *place: int | str) -> int:
    """Return a seed below 2**63 for one position in a run, unrelated to that of any other position."""
    text = ":".join(str(part) for part in (seed, *place))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *place: int | str) -> torch.Generator:
    """Return a CPU random-number generator for one position in a run."""
    return torch.Generator().manual_seed(derive(seed, *place))
