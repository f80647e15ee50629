"""Chooses the most convincing of several candidates, seed by seed.

Discriminator rejection in its simplest form: k pictures are drawn where one is wanted, and the one that
the critic holds most real is kept (Azadi et al., "Discriminator Rejection Sampling", ICLR 2019, accept
by a threshold instead). Which candidates a seed has is written down in `gan_infer/latent/seeds.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import numpy as np

from gan_infer.errors import OptionError
from gan_infer.latent.seeds import candidate_seeds
from gan_infer.runtime.session import BATCH
from gan_infer.text.escaping import abridge

if TYPE_CHECKING:
    import numpy.typing as npt

    from gan_infer.conditions.spec import Feed
    from gan_infer.models.critic import Critic

    Pictures = npt.NDArray[np.uint8]
    Scores = npt.NDArray[np.float32]
    Seeds = npt.NDArray[np.uint64]

# One call would otherwise take for ever: a thousand candidates already are of the very best.
MOST: Final = 1024


def check(
    critic: Critic | None,
    shape: tuple[int, int, int],
    class_names: tuple[str, ...],
    conditions: Iterable[str],
    best_of: int,
) -> Critic:
    """Return the critic, if it can choose among the pictures of a generator.

    Raises:
        OptionError: it is missing, judges pictures of another shape, other classes or by a condition
            that is none of `conditions`, or `best_of` is over MOST.
    """
    from gan_infer.models.critic import Critic as Judge  # most callers have none

    if critic is not None and not isinstance(critic, Judge):
        raise OptionError(f"critic was {abridge(critic)}; give critic=Critic.load(...)")
    if critic is None:
        raise OptionError(f"best_of={best_of} needs a critic to choose by; give critic=Critic.load(...)")
    if best_of > MOST:
        raise OptionError(f"best_of was {best_of}; give at most {MOST}")
    if critic.image_shape != shape:
        raise OptionError(
            f"critic {critic.name!r} judges pictures of {list(critic.image_shape)}, the generator makes "
            f"{list(shape)}; give the critic of the same run"
        )
    if critic.conditional and set(critic.class_names) != set(class_names):
        raise OptionError(
            f"critic {critic.name!r} knows other classes than the generator; give the critic of the same run"
        )
    if others := sorted({spec.name for spec in critic.metadata.inputs[1:]} - {*conditions}):
        raise OptionError(
            f"critic {critic.name!r} judges by {', '.join(others)}, which the generator does not take; "
            "give the critic of the same run"
        )
    return critic


def choose_best(
    draw: Callable[[Seeds, Feed], Pictures],
    score: Callable[[Pictures, Feed], Scores],
    seeds: Seeds,
    generator_feed: Feed,
    critic_feed: Feed,
    best_of: int,
) -> tuple[Pictures, Seeds]:
    """Draw `best_of` candidates a seed and keep the most real one; of equals the first.

    Args:
        draw: seeds uint64 [m] and a feed of conditions of length m to pictures
            uint8 [m, height, width, channels].
        score: such pictures and a feed of conditions to how real they look, float32 [m].
        seeds: uint64 [n].
        generator_feed, critic_feed: what the generator and the critic are fed beside, held for all candidates
            of a seed: arrays [n, ...].
        best_of: candidates a seed, at least 1.

    Returns:
        the pictures, uint8 [n, height, width, channels], and the seeds that each is drawn by.
    """
    pictures: list[Pictures] = []
    chosen: list[Seeds] = []
    step = max(1, BATCH // best_of)
    for start in range(0, len(seeds), step):
        candidates = candidate_seeds(seeds[start : start + step], best_of)
        part = slice(start, start + step)
        drawn = draw(candidates.reshape(-1), _repeat(generator_feed, part, best_of))
        scores = score(drawn, _repeat(critic_feed, part, best_of))
        best = scores.reshape(candidates.shape).argmax(axis=1)
        rows = np.arange(len(best))
        pictures.append(drawn[rows * best_of + best])
        chosen.append(candidates[rows, best])
    return np.concatenate(pictures), np.concatenate(chosen)


def _repeat(feed: Feed, part: slice, times: int) -> Feed:
    return {name: array[part].repeat(times, axis=0) for name, array in feed.items()}
