"""Evaluator: scores samples against a data set.

A fifth of the data is held out; samples are compared with the rest, and so are the held-out
pictures, which shows the scores of a perfect generator.
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
from gan_train.data.columns import CLASS, IMAGE
from gan_train.data.pictures import PictureSet
from gan_train.metrics import neighbours, pixel_features, store
from gan_train.metrics.classifier import DRAWN
from gan_train.metrics.feature_networks import NetworkChoice, choose
from gan_train.metrics.measure import Classes, Comparison, Features, FeatureSet, Reference
from gan_train.metrics.scores import METRICS
from gan_train.metrics.split import like, part, split
from gan_train.runs.progress import Say

Pictures = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
# (count, classes int64 [n] or None) -> pictures uint8 [n, height, width, channels].
Draw = Callable[[int, Classes | None], Pictures]

_CHEAP_REFERENCE: Final = 10_000
_SAMPLES, _COSTLY_SAMPLES = 2000, 1000


@dataclasses.dataclass(frozen=True)
class Scores:
    """How good samples are.

    Attributes:
        values: by name, as in `gan_train.metrics.scores.MEASURES`; those that could be computed.
        protocol: what the values depend on; plain JSON values.
        as_baseline: values of only as many samples as the baseline has, so that the two can be
            compared: distances fall as numbers grow. Only in the full form.
    """

    values: dict[str, float]
    protocol: dict[str, Any]
    as_baseline: dict[str, float] = dataclasses.field(default_factory=dict)

    def describe(self) -> list[str]:
        """Return what the values depend on, for people: lines below a table of them."""
        protocol = self.protocol
        accuracy = protocol.get("classifier_accuracy")
        named = "" if accuracy is None else f"; classes by a classifier that names {accuracy:.1%} rightly"
        return [
            f"features    {protocol['features']:,} of {protocol['network']} ({protocol['why']}){named}",
            f"resizer     {protocol['resizer']}",
            f"samples     {protocol['samples']:,}, seeds 0 and up, {DRAWN}: {protocol[DRAWN]}",
            "real        held-out pictures; distances fall as numbers grow, so compare equal ones",
            f"reference   {protocol['reference']}",
            *(
                f"{metric.protocol_name:<12}{protocol[metric.protocol_name]}"
                for metric in METRICS.values()
                if metric.protocol_name in protocol
            ),
        ]


class Evaluator:
    """Scores samples against one data set. Make one with `Evaluator.prepare`.

    Attributes:
        pictures: the data set.
        choice: the feature network, why it was chosen, and the classifier of the classes.
        samples: the number of samples of a draw.
        full: True if the costly scores are computed too, against the whole reference.
    """

    def __init__(
        self, pictures: PictureSet, choice: NetworkChoice, sha256: str, samples: int, seed: int, full: bool
    ) -> None:
        self.pictures = pictures
        self.choice = choice
        self.samples = samples
        self.full = full
        self._sha256 = sha256
        self._seed = seed
        self._classes: Classes | None = pictures.values(CLASS)
        self._held, self._rest = split(len(pictures), self._classes)
        self._own = self._rest if full else part(self._rest, self._classes, _CHEAP_REFERENCE)
        self._reference = self._make_reference()

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
        """Choose and load a feature network, and compute the features of the reference once.

        This leaves torch's global random state unchanged.

        Args:
            network: "auto", or a name in `gan_train.metrics.feature_networks.NETWORKS`.
            samples: the number of samples, at least 2; None means 2,000, or 1,000 if the network
                is costly.
            seed: for the subsets of the kernel distance.
            say: prints what is chosen and why, and a line before every wait.
            full: compute also the scores that are too costly during training, against the whole data.
            why: the network was chosen, if that was settled before.

        Raises:
            OptionError: no such network, or it is not available here; says what is missing.
        """
        sha256 = pictures.sha256()
        choice = choose(network, pictures, pictures.values(CLASS), sha256, torch.device(device), say, why)
        count = samples or (_COSTLY_SAMPLES if choice.network.costly else _SAMPLES)
        return cls(pictures, choice, sha256, count, seed, full)

    def classes_for(self, count: int) -> Classes | None:
        """Return `count` classes in the data's own proportions (equal numbers where those are equal)."""
        classes = self._reference.seen.classes
        return None if classes is None else like(classes, count)

    def score(self, draw: Draw, conditional: bool | None = None) -> Scores:
        """Draw samples and score them.

        Args:
            draw: called once; the same pictures for the same arguments give the same scores.
            conditional: whether `draw` is given classes; None means: if the data has them.
        """
        classes = self._classes_to_draw(self.samples, conditional)
        return self.score_pictures(draw(self.samples, classes), classes)

    def score_pictures(self, samples: Pictures, classes: Classes | None = None) -> Scores:
        """Score samples uint8 [n, height, width, channels] of classes int64 [n], or of none.

        Raises:
            DataError: the samples are of another size than the data, or under 2.
        """
        if samples.shape[1:] != self.pictures.images.shape[1:] or len(samples) < 2:
            raise DataError(
                f"samples of shape {samples.shape} were given; expected "
                f"[n, {', '.join(map(str, self.pictures.images.shape[1:]))}] with n >= 2; "
                "draw pictures of the data's size"
            )
        seen = self._extract(samples, classes)
        values = self._measure(seen)
        as_baseline: dict[str, float] = {}
        if self.full:
            few = seen.part(len(self._held))
            as_baseline = dict(values) if len(few.features) == len(samples) else self._measure(few)
        values |= self._measure(seen, samples)
        return Scores(values, self._protocol(len(samples), "generated", classes is not None), as_baseline)

    @functools.cached_property
    def baseline(self) -> Scores:
        """Scores of held-out real pictures, at most as many as a draw: those of a perfect generator."""
        own = part(self._held, self._classes, self.samples)
        classes = None if self._classes is None else self._classes[own]
        seen = self._extract(self.pictures.images[own], classes, self._features_of_data(own))
        return Scores(
            self._measure(seen), self._protocol(len(own), "held-out real pictures", classes is not None)
        )

    @property
    def comparable_baseline(self) -> dict[str, float]:
        """Values of the baseline if it has as many pictures as a draw, and so can be compared; else {}."""
        return dict(self.baseline.values) if len(self._held) >= self.samples else {}

    def draw_nearest(self, draw: Draw, count: int, conditional: bool | None = None) -> Pictures:
        """Draw `count` samples and return them on a sheet as `nearest_pictures`; arguments as of `score`."""
        return self.nearest_pictures(draw(count, self._classes_to_draw(count, conditional)))

    def nearest_pictures(self, samples: Pictures, count: int = 3) -> Pictures:
        """Return a sheet: a row per sample, with its nearest pictures of the data beside it.

        They are searched in all of the data, or in the cheap form only in the reference.

        Args:
            samples: uint8 [n, height, width, channels].
            count: the number by features, and again by pixels.

        Returns:
            uint8 [height, width, channels].
        """
        own, features, averages = self._neighbours
        count = min(count, len(own))
        _, alike = neighbours.nearest(self.choice.network(samples)[0], features, count)
        _, same = neighbours.nearest(pixel_features.averages(samples), averages, count)
        found = own[np.concatenate([alike, same], axis=1)]
        rows = [
            np.concatenate([sample[None], self.pictures.images[places]])
            for sample, places in zip(samples, found, strict=True)
        ]
        sheet = image.tile(np.concatenate(rows), 1 + 2 * count)
        return image.enlarge(sheet, image.factor_for(self.pictures.height, self.pictures.width))

    # Helpers.

    def _classes_to_draw(self, count: int, conditional: bool | None) -> Classes | None:
        wanted = self._classes is not None if conditional is None else conditional
        return self.classes_for(count) if wanted else None

    def _extract(
        self, samples: Pictures, classes: Classes | None, features: Features | None = None
    ) -> FeatureSet:
        predicted, known = None, self.choice.classifier
        if features is None:
            features, predicted = self.choice.network(samples)
        if predicted is None and known is not None and classes is not None:
            predicted = known(samples)[1]
        return FeatureSet(features, classes, predicted)

    def _make_reference(self) -> Reference:
        classes, images = self._classes, self.pictures.images
        return Reference(
            seen=FeatureSet(
                self._features_of_data(self._own), None if classes is None else classes[self._own]
            ),
            columns=frozenset({IMAGE} if classes is None else {IMAGE, CLASS}),
            full=self.full,
            seed=self._seed,
            held=lambda: self._features_of_data(self._held),
            rest=lambda: self._features_of_data(self._rest),
            held_pixels=lambda: pixel_features.averages(images, self._held),
            rest_pixels=lambda: pixel_features.averages(images, self._rest),
        )

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
    def _neighbours(self) -> tuple[Indices, Features, Features]:
        """The pictures of the data that may be shown beside a sample, by features and by pixels."""
        own = np.arange(len(self.pictures)) if self.full else self._own
        features = self._features_of_data(own) if self.full else self._reference.seen.features
        return own, features, pixel_features.averages(self.pictures.images, own)

    def _measure(self, seen: FeatureSet, generated: Pictures | None = None) -> dict[str, float]:
        """Compute the metrics of the table that suit these samples.

        Args:
            seen: features of the samples.
            generated: the samples themselves, for the metrics of generated pictures only; None for
                all other metrics.
        """
        compared = Comparison(seen, self._reference, generated)
        values: dict[str, float] = {}
        for metric in METRICS.values():
            wanted = (self.full or not metric.costly) and metric.of_samples == (generated is not None)
            if wanted and metric.needs <= compared.columns:
                values |= metric.compute(compared)
        return values

    def _protocol(self, count: int, of: str, conditional: bool) -> dict[str, Any]:
        network, seen = self.choice.network, self._reference.seen.features
        protocol = {
            "network": network.name,
            "why": self.choice.why,
            "features": int(seen.shape[1]),
            "resizer": network.resizer,
            "of": of,
            "samples": count,
            DRAWN: "in the data's proportions" if conditional else "none of the data's",
            "reference": f"{self.pictures.name}, training pictures less a held-out fifth, {len(seen):,}",
        }
        for metric in METRICS.values():
            if metric.protocol is not None:
                protocol[metric.protocol_name] = metric.protocol(count, len(seen), self.full)
        return {
            **protocol,
            "data_sha256": self._sha256,
            **network.notes,
            **(self.choice.classifier.notes if self.choice.classifier is not None else {}),
        }
