"""Calculates with the sides of tensors: whole numbers, expressions of free sides, and numbers per picture.

Other sides are not computed but refused: what is accepted is right for every batch and at
every free side, and largest at the largest.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Final

from gan_infer.modelfile.safety.graph import FLOAT16, WIDE
from gan_infer.modelfile.safety.protobuf import RefusedError

# Terms of one polynomial and factors of one term: as many as all sides of two pictures multiplied have.
_MAX_TERMS: Final = 16
_MAX_DEGREE: Final = 6


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Steps:
    """How many multiples a free side is above its smallest value: 0 to `most`; `index` tells sides apart."""

    index: int
    most: int


Term = tuple[Steps, ...]  # a product of steps, in order; () is 1


@dataclasses.dataclass(frozen=True, slots=True)
class Polynomial:
    """A whole number that follows from free sides: a sum of products of `Steps`; never a constant.

    As steps are not negative, one without negative coefficients grows with each side.
    """

    terms: tuple[tuple[Term, int], ...]

    def __str__(self) -> str:
        return f"{least(self)}..{most(self)}"


Whole = int | Polynomial


@dataclasses.dataclass(frozen=True, slots=True)
class PerPicture:
    """A number for every picture of the batch; it equals no fixed number, and is neither more nor less.

    Attributes:
        or_one: it is the batch, or 1; such a side can be broadcast, and nothing is computed from it.
    """

    each: Whole
    or_one: bool = False


Side = Whole | PerPicture
Shape = tuple[Side, ...]


def free(index: int, low: int, high: int, multiple: int) -> Whole:
    """Return a side that may be each multiple of `multiple` from `low` to `high`.

    Raises:
        RefusedError: there is none.
    """
    first, last = -(-low // multiple) * multiple, high // multiple * multiple
    if not 1 <= first <= last:
        raise RefusedError(f"has no multiple of {multiple} between {low} and {high}")
    steps = (last - first) // multiple
    return _of({(): first, (Steps(index, steps),): multiple}) if steps else first


def _of(terms: Mapping[Term, int]) -> Whole:
    terms = {term: factor for term, factor in terms.items() if factor}
    if len(terms) > _MAX_TERMS or max(map(len, terms), default=0) > _MAX_DEGREE:
        raise RefusedError("makes sizes of too many free sides")
    if terms.keys() <= {()}:
        return terms.get((), 0)
    return Polynomial(tuple(sorted(terms.items())))


def _terms(number: Whole) -> dict[Term, int]:
    return dict(number.terms) if isinstance(number, Polynomial) else {(): int(number)}


def add(left: Whole, right: Whole) -> Whole:
    """Return the sum of two."""
    if isinstance(left, int) and isinstance(right, int):
        return left + right
    total, other = _terms(left), _terms(right)
    return _of({term: total.get(term, 0) + other.get(term, 0) for term in total | other})


def subtract(left: Whole, right: Whole) -> Whole:
    """Return the difference of two."""
    return add(left, multiply(right, -1))


def multiply(left: Whole, right: Whole) -> Whole:
    """Return the product of two."""
    if isinstance(left, int) and isinstance(right, int):
        return left * right
    total: dict[Term, int] = {}
    for one, factor in _terms(left).items():
        for other, more in _terms(right).items():
            term = tuple(sorted(one + other))
            total[term] = total.get(term, 0) + factor * more
    return _of(total)


def divide(left: Whole, right: Whole) -> Whole:
    """Return the quotient of two whole numbers, rounded down.

    Raises:
        RefusedError: it is no polynomial, as half of a side that may be odd.
    """
    if isinstance(right, Polynomial):
        return _divide_exactly(left, right)
    terms = _terms(left)
    if right == 0 or any(factor % right for term, factor in terms.items() if term):
        raise RefusedError(f"divides a free side ({left}) that need be no multiple of {right}")
    return _of({term: factor // right for term, factor in terms.items()})


def _divide_exactly(left: Whole, right: Polynomial) -> Whole:
    lead, factor = _lead(right)
    result: Whole = 0
    while left != 0:
        term, of = _lead(left)
        rest = list(term)
        for one in lead:
            if one not in rest:
                break
            rest.remove(one)
        if len(rest) + len(lead) != len(term) or of % factor:
            raise RefusedError(f"divides {left} by a free side ({right}), which leaves a rest")
        part = _of({tuple(rest): of // factor})
        left, result = subtract(left, multiply(part, right)), add(result, part)
    return result


def _lead(number: Whole) -> tuple[Term, int]:
    return max(_terms(number).items(), key=lambda item: (len(item[0]), item[0]))


def grows(side: Side) -> bool:
    """Return whether a side gets larger, or stays, when a free side does."""
    return all(factor >= 0 for term, factor in _terms(for_one(side)).items() if term)


def least(side: Side) -> int:
    """Return a lower bound of a side for one picture; the smallest value of a side that grows."""
    return _bound(for_one(side), -1)


def most(side: Side) -> int:
    """Return an upper bound of a side for one picture; the largest value of a side that grows."""
    return _bound(for_one(side), 1)


def _bound(number: Whole, sign: int) -> int:
    if isinstance(number, int):
        return number
    return sum(
        factor * math.prod(steps.most for steps in term)
        for term, factor in number.terms
        if not term or factor * sign > 0
    )


def for_one(side: Side) -> Whole:
    """Return what a side is for one picture."""
    return side.each if isinstance(side, PerPicture) else side


def each(side: Side) -> int:
    """Return what a side is for one picture, at the largest free sides."""
    return side if isinstance(side, int) else most(side)


def settle(side: Side) -> Side:
    """Return a side that is not one of two."""
    if isinstance(side, PerPicture) and side.or_one:
        raise RefusedError("computes with a side that may be 1 or the batch")
    return side


def times(left: Side, right: Side) -> Side:
    """Return the product of two sides.

    Raises:
        RefusedError: it grows faster than the batch.
    """
    left, right = settle(left), settle(right)
    if isinstance(left, PerPicture) and isinstance(right, PerPicture):
        raise RefusedError("makes what grows faster than the batch")
    product = multiply(for_one(left), for_one(right))
    batched = isinstance(left, PerPicture) or isinstance(right, PerPicture)
    return PerPicture(product) if batched and product != 0 else product


def count(shape: Iterable[Side]) -> Side:
    """Return the elements of a shape."""
    total: Side = 1
    for side in shape:
        total = times(total, side)
    return total


def size(shape: Iterable[Side]) -> int:
    """Return the elements that a shape has for one picture, at the largest free sides."""
    return math.prod(map(each, shape))


def words(shape: Iterable[Side], kind: int) -> int:
    """Return what a tensor takes for one picture at the largest free sides, in units of 4 bytes.

    If the processor has no float16, the runtime needs a copy in float32.
    """
    return size(shape) * (2 if kind in WIDE or kind == FLOAT16 else 1)


def without_batch(sides: Iterable[Side]) -> list[Whole]:
    """Return sides that must not depend on the batch."""
    given = list(sides)
    if any(isinstance(side, PerPicture) for side in given):
        raise RefusedError("has the batch in a place where it is not taken")
    return [for_one(side) for side in given]


def fixed(sides: Iterable[Side]) -> list[int]:
    """Return sides that must depend on neither the batch nor a free side."""
    given = without_batch(sides)
    if any(isinstance(side, Polynomial) for side in given):
        raise RefusedError("has a free side in a place where it is not taken")
    return [each(side) for side in given]


def broadcast(left: Shape, right: Shape) -> Shape:
    """Return the shape of two broadcast to one."""
    rank = max(len(left), len(right))
    result: list[Side] = []
    for place in range(-rank, 0):
        pair = {shape[place] if place >= -len(shape) else 1 for shape in (left, right)}
        if PerPicture(1) in pair:
            pair.discard(PerPicture(1, or_one=True))
        wide = pair - {1}
        if len(wide) > 1:
            raise RefusedError(f"takes shapes {show(left)} and {show(right)} together")
        result.append(wide.pop() if wide else 1)
    return tuple(result)


def show(shape: Iterable[Side]) -> str:
    """Return a shape as text; n is the batch, and 16..64 a side from 16 to 64."""
    sides = [f"{side.each}n" if isinstance(side, PerPicture) else str(side) for side in shape]
    return f"[{', '.join(sides[:16])}]".replace("[1n", "[n")
