"""The sizes that a picture passes through between the latent and its full size."""

from __future__ import annotations

from torch import Tensor

Size = tuple[int, int]


def pyramid(size: Size, smallest: int) -> list[Size]:
    """Return (height, width) from the base to the full size, each about half of the next.

    Sides are halved, rounding up, until the shorter one is at most `smallest`: 28x28 with
    smallest 8 gives 7x7, 14x14, 28x28; 45x30 gives 12x8, 23x15, 45x30.
    """
    sizes = [size]
    while min(sizes[0]) > smallest:
        height, width = sizes[0]
        sizes.insert(0, (-(-height // 2), -(-width // 2)))
    return sizes


def channels_at(width: int, levels: int, most: int = 8) -> list[int]:
    """Return the channels from the base to the full size: `width` at full size, doubling downwards.

    They stop growing at `most` times `width`.
    """
    return [width * min(2**level, most) for level in reversed(range(levels))]


def crop(pictures: Tensor, size: Size) -> Tensor:
    """Cut [..., height, width] down to `size` at the bottom and right, if it is larger."""
    return pictures[..., : size[0], : size[1]]
