"""What a condition does, whatever its kind: from a value as people give it to what a model is fed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from gan_infer.errors import GanError, OptionError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from gan_infer.conditions.spec import Feed, Input


class Condition(Protocol):
    """What a person gives for one input of a model, or for several that belong together.

    Its name is that of its first input. A feed holds an array for each of its inputs, but may leave out
    optional ones. The arrays for n pictures have length n.

    Attributes:
        inputs: the inputs that it feeds.
        choices: the number of possible values; 0 if they cannot be listed.
    """

    inputs: tuple[Input, ...]
    choices: int = 0

    def encode(self, value: Any, count: int) -> Feed:
        """Return the feed of a value for all pictures (arrays of length 1), or of `count` values.

        Args:
            value: a value in Python, its text on the command line, or what `describe` returned.

        Raises:
            GanError: the value is not valid, or the number of values is wrong.
        """
        ...

    def default(self, seeds: npt.NDArray[np.uint64]) -> Feed:
        """Return the feed that seeds choose if no value is given, each picture's by its own seed alone."""
        ...

    def missing(self) -> GanError:
        """Return the error for latents, which cannot choose a value."""
        return OptionError(f"a latent chooses no {self.inputs[0].name}; give one")

    def check(self, value: Any, count: int, item: str = "latent") -> Feed:
        """Return the feed of a raw batch, whose arrays have the form that the model takes.

        Args:
            value: the array; None if nothing was given.
            item: the word for one of the `count` items, for messages.

        Raises:
            GanError: the array is missing, or has a wrong shape, type or range.
        """
        ...

    def choice(self, numbers: npt.NDArray[np.int64]) -> Feed:
        """Return the feed of values that are named by their number, from 0 to `choices` - 1."""
        raise NotImplementedError

    def blend(self, corners: Feed, legs: npt.NDArray[np.int64], rest: npt.NDArray[np.float64]) -> Feed:
        """Return the feed of each step on a path between corners.

        Args:
            corners: a feed of n corners; the last is followed by the first.
            legs, rest: [steps], for each step the index of its corner and its fraction of the path to the
                next corner, as `interpolation.loop_positions` returns them.

        Raises:
            GanError: there are no values between the corners.
        """
        ...

    def describe(self, feed: Feed) -> tuple[Any, ...]:
        """Return the value of each picture as JSON; `encode` turns it into the same feed again."""
        ...
