"""Evaluator: what a data set is like, held ready to score samples against; it knows no generator.

A fifth of the data is held out; samples are compared with the rest, and so are the held-out
pictures, which shows what a perfect generator would score.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from gan_infer.errors import DataError
from gan_infer.outputs import image
from gan_train import seeding
from gan_train.data.pictures import PictureSet
from gan_train.metrics import distance, neighbours, pixels, store
from gan_train.metrics.feature_networks import Choice, choose
from gan_train.metrics.split import like, part, split
from gan_train.runs.progress import Say

Pictures = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
Features = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
# How many pictures, of which labels int64 [n] (or None), to uint8 [n, height, width, channels].
Draw = Callable[[int, Labels | None], Pictures]

_CHEAP_REFERENCE: Final = 10_000
_MOST_NEIGHBOURLY: Final = 10_000
_KERNEL_SUBSET: Final = 1000
_SAMPLES, _COSTLY_SAMPLES = 2000, 1000
_CHEAP_SUBSETS, _FULL_SUBSETS = 10, 100


@dataclasses.dataclass(frozen=True)
class Scores:
    """How good samples are.

    Attributes:
        values: by name, as in `gan_train.metrics.scores`; those that could be had.
        protocol: what the values depend on; plain JSON values.
        as_baseline: values of only as many samples as the baseline is of, so that the two can be
            compared: distances fall as numbers grow. In the full form alone.
    """

    values: dict[str, float]
    protocol: dict[str, Any]
    as_baseline: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class _Looked:
    """Features float32 [n, d] of pictures, their labels, and what the classifier takes them for."""

    features: Features
    labels: Labels | None
    predicted: Labels | None = None

    def part(self, most: int) -> _Looked:
        """Return at most so many of them, every class in proportion."""
        own = part(np.arange(len(self.features)), self.labels, most)
        labels = None if self.labels is None else self.labels[own]
        return _Looked(self.features[own], labels, None if self.predicted is None else self.predicted[own])


class Evaluator:
    """Scores samples against one data set. Make one with `Evaluator.prepare`.

    Attributes:
        pictures: the data set.
        choice: the feature network, why it was taken, and the classifier that names classes.
        samples: how many a draw is asked for.
        full: True where the costly scores are computed too, against the whole reference.
    """

    def __init__(
        self, pictures: PictureSet, choice: Choice, sha256: str, samples: int, seed: int, full: bool
    ) -> None:
        self.pictures = pictures
        self.choice = choice
        self.samples = samples
        self.full = full
        self._sha256 = sha256
        self._seed = seed
        self._held, self._rest = split(len(pictures), pictures.labels)
        self._own = self._rest if full else part(self._rest, pictures.labels, _CHEAP_REFERENCE)
        self._reference = self._of_data(self._own)

    @classmethod
    def prepare(
        cls,
        pictures: PictureSet,
        network: str = "auto",
        samples: int | None = None,
        seed: int = 0,
        say: Say = lambda text: None,
        device: torch.device | str = "cpu",
        full: bool = False,
        why: str = "",
    ) -> Evaluator:
        """Choose and load a feature network, and look at the reference with it once.

        Leaves torch's global random state as it was.

        Args:
            network: "auto", or a name in `gan_train.metrics.feature_networks.NETWORKS`.
            samples: how many a score is of, at least 2; None takes 2,000, or 1,000 where the network
                is costly.
            seed: of the kernel distance's subsets.
            say: told what is chosen and why, and before every wait.
            full: also the scores that are too costly to take during training, against the whole data.
            why: the network was chosen, where that was settled before.

        Raises:
            OptionError: no such network, or it cannot be had here; says what is missing.
        """
        sha256 = pictures.sha256()
        choice = choose(network, pictures, sha256, torch.device(device), say, why)
        count = samples or (_COSTLY_SAMPLES if choice.network.costly else _SAMPLES)
        return cls(pictures, choice, sha256, count, seed, full)

    def labels_for(self, count: int) -> Labels | None:
        """Return `count` labels in the data's own proportions (equal numbers where those are equal)."""
        labels = self._reference.labels
        return None if labels is None else like(labels, count)

    def score(self, draw: Draw, conditional: bool | None = None) -> Scores:
        """Draw samples and score them.

        Args:
            draw: called once; the same pictures for the same arguments give the same scores.
            conditional: whether `draw` is given labels; None where the data has them.
        """
        labels = self._classes_to_draw(self.samples, conditional)
        return self.score_pictures(draw(self.samples, labels), labels)

    def score_pictures(self, samples: Pictures, labels: Labels | None = None) -> Scores:
        """Score samples uint8 [n, height, width, channels] of labels int64 [n], or of none.

        Raises:
            DataError: the samples are of another size than the data, or under 2.
        """
        if samples.shape[1:] != self.pictures.images.shape[1:] or len(samples) < 2:
            raise DataError(
                f"samples of shape {samples.shape} were given; expected "
                f"[n, {', '.join(map(str, self.pictures.images.shape[1:]))}] with n >= 2"
            )
        found = self._look(samples, labels)
        values = self._scores(found)
        as_baseline: dict[str, float] = {}
        if self.full:
            few = found.part(len(self._held))
            as_baseline = dict(values) if len(few.features) == len(samples) else self._scores(few)
            by_pixels = pixels.load(torch.device("cpu"))
            values["memorised"] = neighbours.copied(
                found.features, self._features_of_data(self._held), self._features_of_data(self._rest)
            )
            values["memorised_pixels"] = neighbours.copied(
                by_pixels(samples)[0],
                by_pixels(self.pictures.images, self._held)[0],
                by_pixels(self.pictures.images, self._rest)[0],
            )
        return Scores(values, self._protocol(len(samples), "generated", labels is not None), as_baseline)

    @functools.cached_property
    def baseline(self) -> Scores:
        """Scores of held-out real pictures, at most as many as a draw: what is perfect here."""
        own = part(self._held, self.pictures.labels, self.samples)
        known = self._of_data(own)
        found = self._look(self.pictures.images[own], known.labels, known.features)
        return Scores(
            self._scores(found), self._protocol(len(own), "held-out real pictures", known.labels is not None)
        )

    @property
    def level(self) -> dict[str, float]:
        """Values of the baseline where it is of as many pictures as a draw and so compares; else {}."""
        return dict(self.baseline.values) if len(self._held) >= self.samples else {}

    def draw_nearest(self, draw: Draw, count: int, conditional: bool | None = None) -> Pictures:
        """Draw `count` samples and return them on a sheet as `nearest_pictures`; arguments as of `score`."""
        return self.nearest_pictures(draw(count, self._classes_to_draw(count, conditional)))

    def nearest_pictures(self, samples: Pictures, count: int = 3) -> Pictures:
        """Return a sheet: a row a sample, with its nearest pictures of the data beside it.

        They are looked for in all of the data, or in the cheap form in the reference alone.

        Args:
            samples: uint8 [n, height, width, channels].
            count: how many by features, then as many by pixels.

        Returns:
            uint8 [height, width, channels].
        """
        own, features, levels = self._shown
        count = min(count, len(own))
        by_pixels = pixels.load(torch.device("cpu"))
        _, alike = neighbours.nearest(self.choice.network(samples)[0], features, count)
        _, same = neighbours.nearest(by_pixels(samples)[0], levels, count)
        found = own[np.concatenate([alike, same], axis=1)]
        rows = [
            np.concatenate([sample[None], self.pictures.images[places]])
            for sample, places in zip(samples, found, strict=True)
        ]
        sheet = image.tile(np.concatenate(rows), 1 + 2 * count)
        return image.enlarge(sheet, image.factor_for(self.pictures.height, self.pictures.width))

    # Inside.

    def _classes_to_draw(self, count: int, conditional: bool | None) -> Labels | None:
        wanted = self.pictures.labels is not None if conditional is None else conditional
        return self.labels_for(count) if wanted else None

    def _look(self, samples: Pictures, labels: Labels | None, features: Features | None = None) -> _Looked:
        predicted, judge = None, self.choice.judge
        if features is None:
            features, predicted = self.choice.network(samples)
        if predicted is None and judge is not None and labels is not None:
            predicted = judge(samples)[1]
        return _Looked(features, labels, predicted)

    def _of_data(self, own: Indices) -> _Looked:
        labels = self.pictures.labels
        return _Looked(self._features_of_data(own), None if labels is None else labels[own])

    def _features_of_data(self, own: Indices) -> Features:
        network = self.choice.network
        text = f"{network.identity} {self._sha256} {hashlib.sha256(own.tobytes()).hexdigest()}"
        key = hashlib.sha256(text.encode()).hexdigest()[:32]
        kept = store.load("features", key) if network.costly else None
        if kept is not None:
            return kept["features"].numpy()
        features, _ = network(self.pictures.images, own)
        if network.costly:
            store.keep("features", key, {"features": torch.from_numpy(features)})
        return features

    @functools.cached_property
    def _shown(self) -> tuple[Indices, Features, Features]:
        """Which pictures of the data may stand beside a sample, by features and by pixels."""
        own = np.arange(len(self.pictures)) if self.full else self._own
        features = self._features_of_data(own) if self.full else self._reference.features
        return own, features, pixels.load(torch.device("cpu"))(self.pictures.images, own)[0]

    @functools.cached_property
    def _manifolds(self) -> dict[int, neighbours.Manifold]:
        return {}

    def _manifold(self, count: int) -> neighbours.Manifold:
        """Return the balls around as many of the reference as there are samples."""
        if count not in self._manifolds:
            self._manifolds[count] = neighbours.manifold(self._reference.part(count).features)
        return self._manifolds[count]

    def _scores(self, found: _Looked) -> dict[str, float]:
        reference = self._reference
        count = min(len(found.features), len(reference.features))
        values = {"frechet": distance.frechet(reference.features, found.features)}
        if count >= 4:
            values["kernel"], values["kernel_spread"] = distance.kernel(
                reference.features,
                found.features,
                subsets=_FULL_SUBSETS if self.full else _CHEAP_SUBSETS,
                subset_size=_KERNEL_SUBSET,
                seed=seeding.derive(self._seed, "metrics", "kernel"),
            )
        if count > neighbours.NEIGHBOURS:
            compared = min(count, _MOST_NEIGHBOURLY)
            cover = neighbours.cover(self._manifold(compared), found.part(compared).features)
            values |= dataclasses.asdict(cover)
        values["variety"] = distance.variety(
            found.features, found.labels, reference.features, reference.labels
        )
        if found.labels is not None and found.predicted is not None:
            values["label_accuracy"] = float((found.labels == found.predicted).mean())
        if self.full and found.labels is not None and reference.labels is not None:
            within = distance.intra_class_frechet(
                reference.features, reference.labels, found.features, found.labels
            )
            if np.isfinite(within):
                values["intra_class_frechet"] = within
        return values

    def _protocol(self, count: int, of: str, labelled: bool) -> dict[str, Any]:
        network, reference = self.choice.network, len(self._reference.features)
        compared = min(count, reference, _MOST_NEIGHBOURLY)
        subset = min(_KERNEL_SUBSET, min(count, reference) // 2)
        return {
            "network": network.name,
            "why": self.choice.why,
            "features": int(self._reference.features.shape[1]),
            "resizer": network.resizer,
            "of": of,
            "samples": count,
            "labels": "in the data's proportions" if labelled else "none of the data's",
            "reference": f"{self.pictures.name}, training pictures less a held-out fifth, {reference:,}",
            "kernel": f"{_FULL_SUBSETS if self.full else _CHEAP_SUBSETS} subsets of {subset:,}",
            "neighbours": f"{neighbours.NEIGHBOURS}, {compared:,} pictures against as many",
            "data_sha256": self._sha256,
            **network.notes,
            **(self.choice.judge.notes if self.choice.judge is not None else {}),
        }
