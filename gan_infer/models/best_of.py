"""Chooses, for each seed, the best of several candidates by the score of a critic.

This is discriminator rejection sampling in its simplest form: for each picture k candidates are drawn, and
the one with the highest score is kept (Azadi et al., "Discriminator Rejection Sampling", ICLR 2019, accept
by a threshold instead). `gan_infer/latent/seeds.py` defines the candidates of a seed.
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

# More would take too long, and hardly improve the result.
MOST: Final = 1024


def check(
    critic: Critic | None,
    shape: tuple[int, int, int],
    class_names: tuple[str, ...],
    conditions: Iterable[str],
    best_of: int,
) -> Critic:
    """Return the critic if it can score the pictures of a generator.

    Raises:
        OptionError: it is missing, takes another shape, other classes or a condition that is not one of
            `conditions`, or `best_of` is over MOST.
    """
    from gan_infer.models.critic import Critic as CriticClass  # most callers have no critic

    if critic is not None and not isinstance(critic, CriticClass):
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
    """Draw `best_of` candidates per seed and keep the one with the highest score; of equals the first.

    Args:
        draw: returns pictures uint8 [m, height, width, channels] for seeds uint64 [m] and a feed of
            conditions of length m.
        score: returns the realness float32 [m] of such pictures and a feed of conditions.
        seeds: uint64 [n].
        generator_feed, critic_feed: the conditions of the generator and of the critic, arrays [n, ...]; all
            candidates of a seed have the same.
        best_of: candidates per seed, at least 1.

    Returns:
        the pictures, uint8 [n, height, width, channels], and the candidate seed of each, uint64 [n].
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
