"""Turns a seed into a latent, by a published algorithm.

The algorithm is part of the contract of model files, so that a browser or a service in another
language computes the same latents; test vectors are in
`tests/gan_infer/latent/latent_vectors.json`. All integers are unsigned and wrap at 2**64:

    mix(x):     x ^= x >> 30;  x *= 0xBF58476D1CE4E5B9
                x ^= x >> 27;  x *= 0x94D049BB133111EB;  return x ^ (x >> 31)
    word(s, i): mix(mix(s + G) + (i + 1) * G)     with G = 0x9E3779B97F4A7C15
    unit(w):    (w >> 11) / 2**53                 a float64 in [0, 1)

mix and G are those of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). Words are addressed by
counter: any element of any latent can be computed without those before it.

    normal:   elements 2k and 2k+1 are r cos(t) and r sin(t), where
              r = sqrt(-2 ln(1 - unit(word(s, 2k)))), t = 2 pi unit(word(s, 2k+1))
              (Box and Muller 1958), in float64, rounded to float32 at the end
    uniform:  element i is 2 unit(word(s, i)) - 1, rounded to float32

For the best of k pictures (best-of) by one seed s, the candidates are the pictures of k seeds:

    candidate(s, 0) = s;  candidate(s, j) = word(s, 2**32 + j) >> 1     for 0 < j < k <= 2**31
"""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gan_infer import arguments
from gan_infer.errors import OptionError
from gan_infer.text.escaping import abridge

ALGORITHM: Final = "splitmix64-counter/box-muller/1"
DISTRIBUTIONS: Final = ("normal", "uniform")
SEED_LIMIT: Final = 2**63
# Elements per latent and candidates per seed, at most; seeds in one array, at most.
_MOST_ELEMENTS: Final = 2**20
_MOST_SEEDS: Final = 10_000_000

# Counters of latents stay far below it, so that no candidate's seed uses a latent's words.
_CANDIDATES: Final = 2**32

_GAMMA: Final = 0x9E3779B97F4A7C15
_MASK: Final = 2**64 - 1
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_TO_UNIT: Final = 2.0**-53

if TYPE_CHECKING:
    import numpy.typing as npt

    Seeds = int | Sequence[int] | npt.NDArray[np.integer[Any]]


def latents(seeds: Seeds, dim: int, distribution: str = "normal") -> npt.NDArray[np.float32]:
    """Compute one latent per seed.

    Args:
        seeds: one seed or several, each an integer with 0 <= seed < 2**63.
        dim: elements in a latent, at least 1.
        distribution: "normal" (mean 0, variance 1) or "uniform" on [-1, 1).

    Returns:
        float32 [number of seeds, dim]; each row depends on its own seed only.

    Raises:
        OptionError: a seed is not an integer or out of range, or the distribution is unknown.
    """
    if not isinstance(distribution, str) or distribution not in DISTRIBUTIONS:
        raise OptionError(
            f"latent distribution {abridge(distribution)} is unknown; give one of {', '.join(DISTRIBUTIONS)}"
        )
    dim = arguments.whole_number(dim, "dim", most=_MOST_ELEMENTS)
    words = _words(seed_array(seeds), dim + dim % 2)
    unit = (words >> _11) * _TO_UNIT
    if distribution == "uniform":
        return (2.0 * unit[:, :dim] - 1.0).astype(np.float32)
    radius = np.sqrt(-2.0 * np.log(1.0 - unit[:, 0::2]))
    angle = (2.0 * np.pi) * unit[:, 1::2]
    pairs = np.empty((*radius.shape, 2), np.float32)
    np.multiply(radius, np.cos(angle), out=pairs[..., 0], casting="same_kind")
    np.multiply(radius, np.sin(angle), out=pairs[..., 1], casting="same_kind")
    return pairs.reshape(len(pairs), -1)[:, :dim]


def candidate_seeds(seeds: npt.NDArray[np.uint64], count: int) -> npt.NDArray[np.uint64]:
    """Return the seeds of `count` candidates per seed, by the rule at the top of this file.

    Args:
        seeds: uint64 [n].
        count: candidates per seed, 1 to 2**20.

    Returns:
        uint64 [n, count], each below 2**63; the first column is `seeds`.
    """
    seeds = seed_array(seeds)
    count = arguments.whole_number(count, "count", most=_MOST_ELEMENTS)
    counters = np.array([((_CANDIDATES + j + 1) * _GAMMA) & _MASK for j in range(1, count)], np.uint64)
    others = mix(mix(seeds + np.uint64(_GAMMA))[:, None] + counters) >> np.uint64(1)
    return np.concatenate([seeds[:, None], others], axis=1)


def seed_array(seeds: Seeds) -> npt.NDArray[np.uint64]:
    """Check seeds and return them as uint64 [n].

    Raises:
        OptionError: there are none, or one is not an integer or not in 0 <= seed < 2**63.
    """
    if isinstance(seeds, range) and seeds[_MOST_SEEDS:]:
        raise OptionError(f"seeds were {abridge(seeds)}; give at most {_MOST_SEEDS:,} at once")
    if isinstance(seeds, np.ndarray) and seeds.dtype.kind in "iu":
        flat = seeds.reshape(-1)
        if flat.size and (flat.min() < 0 or flat.max() >= SEED_LIMIT):
            bad = flat[(flat < 0) | (flat >= SEED_LIMIT)][0]
            raise OptionError(_bad_seed(bad))
        array = flat.astype(np.uint64)
    elif isinstance(seeds, (list, tuple, range, np.ndarray)):
        each = seeds.reshape(-1) if isinstance(seeds, np.ndarray) else seeds
        array = np.array([check_seed(seed) for seed in each], np.uint64)
    else:
        array = np.array([check_seed(seeds)], np.uint64)
    if array.size == 0:
        raise OptionError("no seeds were given; give at least one")
    return array


def check_seed(seed: Any) -> int:
    """Return a seed as an int.

    Raises:
        OptionError: it is not an integer or not in 0 <= seed < 2**63.
    """
    try:
        number = operator.index(seed)
    except Exception:  # an object of the caller's may raise anything: it is not a number
        raise OptionError(_bad_seed(seed)) from None
    if not 0 <= number < SEED_LIMIT or isinstance(seed, bool):
        raise OptionError(_bad_seed(seed))
    return number


def fresh_seed(count: int = 1) -> int:
    """Return an unpredictable seed below 2**48, with room for `count` seeds after it.

    It is short enough to read out and to type, and exact as a JavaScript number.
    """
    count = arguments.whole_number(count, "count")
    return int.from_bytes(os.urandom(6), "little") % (2**48 - min(count, 2**47))


def parse_seeds(text: str, limit: int = 1_000_000) -> list[int]:
    """Parse seeds as people write them: "0,1,4-6" gives [0, 1, 4, 5, 6].

    Raises:
        OptionError: a part is not an integer or range, a range runs backwards, a seed is out of
            range, or there would be more than `limit` seeds.
    """
    if not isinstance(text, str):
        raise OptionError(f"seeds were {abridge(text)}; write them like 0,1,4-6")
    limit = arguments.whole_number(limit, "limit")
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,19})\s*(?:-\s*(\d{1,19})\s*)?", part, re.ASCII)
        if not match:
            raise OptionError(
                f"seeds {abridge(text)} do not parse at {abridge(part.strip())}; write them like 0,1,4-6"
            )
        first = check_seed(int(match[1]))
        last = check_seed(int(match[2])) if match[2] else first
        if last < first:
            raise OptionError(f"seeds {part.strip()!r} run backwards; write {last}-{first}")
        if len(seeds) + last - first + 1 > limit:
            raise OptionError(f"seeds {abridge(text)} are too many; at most {limit:,} fit in one call")
        seeds.extend(range(first, last + 1))
    return seeds


def _bad_seed(seed: object) -> str:
    return f"seed {abridge(seed)} is not usable; give an integer from 0 to {SEED_LIMIT - 1} (2**63 - 1)"


def _words(seeds: npt.NDArray[np.uint64], count: int) -> npt.NDArray[np.uint64]:
    keys = mix(seeds + np.uint64(_GAMMA))
    return mix(keys[:, None] + _counters(count))


_counter_cache: dict[int, npt.NDArray[np.uint64]] = {}


def _counters(count: int) -> npt.NDArray[np.uint64]:
    counters = _counter_cache.get(count)
    if counters is None:
        values = [((i + 1) * _GAMMA) & _MASK for i in range(count)]
        counters = _counter_cache[count] = np.array(values, np.uint64)
    return counters


def mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return the words of SplitMix64 for its states, both uint64 of any one shape."""
    x = (x ^ (x >> _30)) * _M1
    x = (x ^ (x >> _27)) * _M2
    return x ^ (x >> _31)
