"""Checks that a model file gives what it says: compares its golden pictures, or a critic's golden scores."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from gan_infer.modelfile import catalog, golden, safety
from gan_infer.modelfile.admission import ChangedError
from gan_infer.modelfile.golden import CHANGED, CLOSE, NONE, SAME, UNTOLD
from gan_infer.modelfile.metadata import CRITIC, KEY, GoldenResult, kind_of
from gan_infer.models.critic import Critic
from gan_infer.models.generator import Generator

if TYPE_CHECKING:
    from gan_infer.conditions.spec import Feed


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """The result of a check.

    Attributes:
        file: where the model came from.
        kind: "generator", "critic", or "foreign" for a file of other tools.
        sha256: the SHA-256 of the file.
        result: the worst of `compared`, "none" if there was nothing to compare.
        compared: each golden picture or score.
    """

    file: str
    kind: str
    sha256: str
    result: str
    compared: tuple[GoldenResult, ...]

    @property
    def good(self) -> bool:
        """Return whether the file gives what it says, up to the difference between processors."""
        return self.result in (SAME, CLOSE)

    def detail(self) -> str:
        """Describe the result in a clause."""
        return describe(self.compared, self.kind)


def check(source: str, device: str = "cpu", *, trust: bool = False) -> CheckReport:
    """Load a generator or critic and compare its golden pictures or scores.

    Raises:
        ModelError: it cannot be loaded, for a reason other than a change of the file.
        DeviceError: the device is not available.
    """
    file = catalog.read(source)
    text = safety.check(file.body, file.source).metadata.get(KEY)
    if text is None:
        return CheckReport(file.source, "foreign", file.sha256, NONE, ())
    kind = kind_of(text)
    model_class: type[Generator | Critic] = Critic if kind == CRITIC else Generator
    try:
        with model_class.load(source, device=device, trust=trust) as model:
            compared = compare(model)
    except ChangedError as error:
        compared = error.compared
    return CheckReport(file.source, kind, file.sha256, golden.worst(compared), compared)


def compare(model: Generator | Critic) -> tuple[GoldenResult, ...]:
    """Compare the golden pictures or scores of an open model, on its device.

    Raises:
        ModelError: a golden picture of the file cannot be read.
    """

    def run(names: Any, feed: Feed) -> Any:
        main, *conditions = feed
        return [model(feed[main], **{name: feed[name] for name in conditions})]

    return golden.draw(run, model.metadata)


def describe(compared: tuple[GoldenResult, ...], kind: str) -> str:
    """Describe in a clause how golden pictures or scores came out."""
    what = "score" if kind == CRITIC else "picture"
    result = golden.worst(compared)
    if result == NONE:
        return f"holds no golden {what}s to compare"
    count = f"{len(compared)} golden {what}{'' if len(compared) == 1 else 's'}"
    if result == SAME:
        return f"{count} came out as the file says"
    off = [each for each in compared if each.result == result]
    places = ", ".join(each.place for each in off)
    most = max((each.off for each in compared if each.off is not None), default=math.nan)
    unit = "in realness" if kind == CRITIC else "of 256 in value"
    by = "" if math.isnan(most) else f" by up to {most:.3g} {unit}"
    if result == CLOSE:
        return f"{count} came out as on another processor, off{by}"
    if result == UNTOLD:
        why = "the file holds hashes only: damaged, or another processor"
        return f"{len(off)} of {count} differ ({places}; {why})"
    assert result == CHANGED
    return f"{len(off)} of {count} differ{by} ({places}): the file was damaged or changed"
