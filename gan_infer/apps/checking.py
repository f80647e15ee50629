"""Checks a model file against its own golden pictures or judgements: does it give what it says it gives?"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from gan_infer.modelfile import catalog, golden, safety
from gan_infer.modelfile.admission import ChangedError
from gan_infer.modelfile.golden import CHANGED, CLOSE, NONE, SAME, UNTOLD
from gan_infer.modelfile.metadata import CRITIC, KEY, Compared, kind_of
from gan_infer.models.critic import Critic
from gan_infer.models.generator import Generator

if TYPE_CHECKING:
    from gan_infer.conditions.spec import Feed


@dataclasses.dataclass(frozen=True)
class Report:
    """What came of a check.

    Attributes:
        file: where the model came from.
        kind: "generator", "critic", or "foreign" for a file of other tools.
        sha256: of the file.
        result: the worst of `compared`, "none" where there was nothing to compare.
        compared: each golden picture or judgement.
    """

    file: str
    kind: str
    sha256: str
    result: str
    compared: tuple[Compared, ...]

    @property
    def good(self) -> bool:
        """Return whether it gives what it says, as nearly as another processor may."""
        return self.result in (SAME, CLOSE)

    def detail(self) -> str:
        """Return the result as a clause."""
        return detail(self.compared, self.kind)


def check(source: str, device: str = "cpu", *, trust: bool = False) -> Report:
    """Load a generator or critic and compare its golden pictures or judgements.

    Raises:
        ModelError: it cannot be loaded, for another reason than that it was changed.
        DeviceError: the device cannot be had.
    """
    file = catalog.read(source)
    text = safety.check(file.body, file.source).metadata.get(KEY)
    if text is None:
        return Report(file.source, "foreign", file.sha256, NONE, ())
    kind = kind_of(text)
    opener: type[Generator | Critic] = Critic if kind == CRITIC else Generator
    try:
        with opener.load(source, device=device, trust=trust) as model:
            compared = compare(model)
    except ChangedError as error:
        compared = error.compared
    return Report(file.source, kind, file.sha256, golden.worst(compared), compared)


def compare(model: Generator | Critic) -> tuple[Compared, ...]:
    """Compare the golden pictures or judgements of an open model, where it runs.

    Raises:
        ModelError: a golden picture of the file cannot be read.
    """

    def run(names: Any, feed: Feed) -> Any:
        main, *conditions = feed
        return [model(feed[main], **{name: feed[name] for name in conditions})]

    return golden.draw(run, model.metadata)


def detail(compared: tuple[Compared, ...], kind: str) -> str:
    """Say in a clause how golden pictures or judgements came out."""
    what = "judgement" if kind == CRITIC else "picture"
    result = golden.worst(compared)
    if result == NONE:
        return f"holds no golden {what}s to compare"
    count = f"{len(compared)} golden {what}{'' if len(compared) == 1 else 's'}"
    if result == SAME:
        return f"{count} came out as the file says"
    off = [each for each in compared if each.result == result]
    places = ", ".join(each.place for each in off)
    most = max((each.off for each in compared if each.off is not None), default=math.nan)
    unit = "in realness" if kind == CRITIC else "of 256 levels"
    by = "" if math.isnan(most) else f" by up to {most:.3g} {unit}"
    if result == CLOSE:
        return f"{count} came out as on another processor, off{by}"
    if result == UNTOLD:
        why = "the file holds hashes only: damaged, or another processor"
        return f"{len(off)} of {count} differ ({places}; {why})"
    assert result == CHANGED
    return f"{len(off)} of {count} differ{by} ({places}): the file was damaged or changed"
