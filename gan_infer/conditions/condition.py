"""What a condition does, whatever its kind: from a value as people give it to what a model is fed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from gan_infer.errors import GanError, OptionError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from gan_infer.conditions.spec import Feed, Input


class Condition(Protocol):
    """What a person gives for an input of a model, or for several that belong together.

    People give it by the name of its first input. A feed holds arrays for all its inputs, or leaves out
    optional ones; n pictures have arrays of length n.

    Attributes:
        inputs: what it feeds.
        choices: how many values there are to choose among; 0 where they cannot be listed.
    """

    inputs: tuple[Input, ...]
    choices: int = 0

    def encode(self, value: Any, count: int) -> Feed:
        """Return the feed of a value for all pictures (arrays of length 1), or of `count` values.

        Args:
            value: as people give it, in Python or as text on the command line; what `describe` gave, too.

        Raises:
            GanError: it is none, or there are another number of values.
        """
        ...

    def default(self, seeds: npt.NDArray[np.uint64]) -> Feed:
        """Return what seeds choose where nobody gives a value; a picture's depends on its own seed alone."""
        ...

    def missing(self) -> GanError:
        """Return the error for latents, which choose no value."""
        return OptionError(f"a latent chooses no {self.inputs[0].name}; give one")

    def check(self, value: Any, count: int, item: str = "latent") -> Feed:
        """Return the feed of a raw batch: arrays as the model takes them; None where nothing was given.

        Args:
            item: what there are `count` of, for messages.

        Raises:
            GanError: it is missing, or of another shape, type or range.
        """
        ...

    def choice(self, numbers: npt.NDArray[np.int64]) -> Feed:
        """Return the feed of values by their numbers, from 0 to `choices` - 1."""
        raise NotImplementedError

    def blend(self, corners: Feed, legs: npt.NDArray[np.int64], rest: npt.NDArray[np.float64]) -> Feed:
        """Return the feed of each step on a way between corners.

        Args:
            corners: a feed of n corners, the first of which follows on the last.
            legs, rest: [steps], each step's corner and its share of the way to the next, as
                `interpolation.loop_positions` gives them.

        Raises:
            GanError: there is nothing between them.
        """
        ...

    def describe(self, feed: Feed) -> tuple[Any, ...]:
        """Return the value of each picture as JSON, which `encode` reads back as the same feed."""
        ...
