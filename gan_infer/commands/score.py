"""`gan-infer score`: says how real pictures look to a critic."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gan_infer import console
from gan_infer.commands import shared
from gan_infer.decoding import formats
from gan_infer.text.escaping import plain

if TYPE_CHECKING:
    from gan_infer.decoding.ranges import Ranges
    from gan_infer.models.critic import Critic

_AT_ONCE: Final = 256
_BINS: Final = 10
_BAR: Final = 40


@dataclasses.dataclass(frozen=True)
class Scored:
    """A picture and its score.

    Attributes:
        label: the class that it was scored with; "" if none is known.
        label_from: "given", "folder" (its folder has the name of the class), or "".
    """

    path: str
    realness: float
    label: str = ""
    label_from: str = ""


@click.command()
@click.argument("pictures", nargs=-1, required=True, type=console.FilePath())
@click.option(
    "--critic",
    type=console.FilePath(str),
    required=True,
    help="A critic that gan-train export --critic wrote.",
)
@shared.device
@click.option("--label", help="The pictures' class, by name or index.")
@shared.condition
@click.option(
    "--value-range",
    metavar="LOW:HIGH",
    help="The values of black and white in pictures with over 8 bits.  [default: as in training]",
)
@click.option("--to", type=console.FilePath(), help="Write a histogram to a file, .png or .svg.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def score(
    pictures: Sequence[Path],
    critic: str,
    device: str,
    label: str | None,
    named: tuple[str, ...],
    value_range: str | None,
    to: Path | None,
    as_json: bool,
) -> int:
    """Say how real PICTURES (files, or folders with all files in them) look to a critic.

    Without --label, a picture in a folder with the name of a class is scored with that class; any other
    picture is scored with all classes, which is less exact.
    """
    from gan_infer.decoding import decode
    from gan_infer.models.critic import Critic
    from gan_infer.outputs import charts

    if to is not None:
        charts.check_ending(to)
    conditions = shared.read_given(label, named)
    label = conditions.pop("label", None)
    opened = Critic.load(critic, device=device, trust=shared.is_trusted())
    shared.check_names(opened, conditions)
    given = None if label is None else opened.label_index(label)
    bad: dict[str, str] = {}
    paths = list(_find(pictures, bad))
    chosen = opened.settle_range(paths, value_range)
    if chosen is not None:
        console.say(f"note: in pictures of over 8 bits, {decode.describe_range(str(chosen))}")
    scored = list(_score_all(opened, paths, given, conditions, chosen, bad))
    if opened.conditional and any(not item.label for item in scored):
        console.say("note: pictures of unknown class are scored with all classes; --label tells more")
    if as_json:
        console.echo_json(_as_json(opened, scored, bad))
    else:
        for line in _write_lines(opened, scored, any(path.is_dir() for path in pictures)):
            console.echo(line)
    if to is not None and scored:
        values = _to_array(scored)
        charts.save(charts.histogram(values, f"{len(values):,} pictures by {opened.name}"), to)
        if not as_json:
            console.say(f"histogram in {to}")
    return 1 if bad or not scored else 0


def _find(pictures: Sequence[Path], bad: dict[str, str]) -> Iterator[Path]:
    """Yield the given files, and the pictures in given folders and below, sorted by name."""
    for path in pictures:
        if not path.is_dir():
            yield path
            continue
        within = sorted(_walk(path))
        if not within:
            _report_bad(bad, str(path), "holds no pictures")
        yield from within


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        for name in names:
            if name.lower().endswith(formats.SUFFIXES) and not name.startswith("."):
                yield Path(place, name)


def _score_all(
    critic: Critic,
    paths: Sequence[Path],
    given: int | None,
    conditions: dict[str, Any],
    chosen: Ranges | None,
    bad: dict[str, str],
) -> Iterator[Scored]:
    """Score pictures in parts, so that memory does not grow; report pictures that cannot be used."""
    import numpy as np

    from gan_infer.errors import DataError

    for start in range(0, len(paths), _AT_ONCE):
        good, prepared = [], []
        for path in paths[start : start + _AT_ONCE]:
            remarks: list[str] = []
            try:
                prepared.append(critic.prepare(path, chosen, remarks))
                good.append(path)
            except DataError as error:
                _report_bad(bad, str(path), str(error).removeprefix(f"{plain(str(path))} "))
            for remark in remarks:
                console.say(f"note: {path} is among pictures that {remark}")
        if not good:
            continue
        images, labels = np.stack(prepared), _find_labels(critic, good, given)
        known = np.array([label is not None for label in labels])
        values = np.empty(len(good), np.float32)
        if known.any():
            indices = [f"index:{label}" for label in labels if label is not None]
            values[known] = critic.score(images[known], indices, **conditions)
        if not known.all():
            values[~known] = critic.of_any_class(images[~known], **conditions)
        for path, value, label in zip(good, values, labels, strict=True):
            source = "" if label is None else "folder" if given is None else "given"
            name = "" if label is None else critic.class_names[label]
            yield Scored(str(path), round(float(value), 6), name, source)


def _find_labels(critic: Critic, paths: Sequence[Path], given: int | None) -> list[int | None]:
    if given is not None:
        return [given] * len(paths)
    names = {name: index for index, name in enumerate(critic.class_names)}
    return [names.get(path.absolute().parent.name) for path in paths]


def _report_bad(bad: dict[str, str], path: str, reason: str) -> None:
    bad[path] = reason
    console.say(f"{path} {reason}")


def _to_array(scored: Sequence[Scored]) -> Any:
    import numpy as np

    return np.array([item.realness for item in scored])


def _write_lines(critic: Critic, scored: Sequence[Scored], folders: bool) -> Iterator[str]:
    for item in scored:
        label = f"  as {item.label}" if item.label else ""
        yield f"{item.realness:.3f}  {item.path}{label}"
    if not folders or not scored:
        return
    values = _to_array(scored)
    yield f"{len(values):,} pictures, mean {values.mean():.3f}, median {_median(values):.3f}"
    counts = _count_bins(values)
    for index, count in enumerate(counts):
        bar = "#" * round(_BAR * count / max(counts))
        yield f"{index / _BINS:.1f}-{(index + 1) / _BINS:.1f}  {count:>7,}  {bar}".rstrip()


def _as_json(critic: Critic, scored: Sequence[Scored], bad: dict[str, str]) -> dict[str, Any]:
    values = _to_array(scored)
    return {
        "critic": critic.name,
        "pictures": [dataclasses.asdict(item) for item in scored],
        "bad": [{"path": path, "reason": reason} for path, reason in bad.items()],
        "mean": float(values.mean()) if scored else None,
        "median": _median(values) if scored else None,
        "histogram": _count_bins(values),
    }


def _median(values: Any) -> float:
    import numpy as np

    return float(np.median(values))


def _count_bins(values: Any) -> list[int]:
    import numpy as np

    counts: list[int] = np.histogram(values, _BINS, (0.0, 1.0))[0].tolist()
    return counts
