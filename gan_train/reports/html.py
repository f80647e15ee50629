"""Renders report.html: one self-contained page of a run, made from the files in its folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

from PIL import Image

from gan_infer.outputs.image import factor_for
from gan_train.config.options import Config, leaves
from gan_train.metrics.measure import LOW
from gan_train.metrics.scores import LEADING, MEASURES
from gan_train.reports import curves, embed, line_charts, sheet, templates, walk
from gan_train.reports.curves import Lines
from gan_train.reports.embed import Embedded
from gan_train.reports.line_charts import Chart, Mark
from gan_train.runs import checkpoint, journal
from gan_train.tasks.figures import Figure

_SHEETS: Final = 24
_NAMED: Final = 20
# The sheets together; walk and neighbours are added to this.
MOST_CHARACTERS: Final = 5_000_000
# Values by their names, as the template shows them.
Rows = Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Sheets:
    """Sample sheets, oldest first; `rows` are the classes of the last one's rows."""

    pictures: Sequence[Embedded]
    captions: Sequence[str]
    rows: Sequence[str]
    classes: int


@dataclasses.dataclass(frozen=True)
class Walk:
    """The walk, a caption for each of its frames, and the classes of its columns."""

    film: Embedded
    captions: Sequence[str]
    columns: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Measurements:
    """What was measured: charts, keys to them, and a table of it with its columns."""

    charts: Sequence[str]
    keys: Sequence[str]
    columns: Sequence[str]
    rows: Mapping[str, Sequence[str]]
    protocol: Rows


@dataclasses.dataclass(frozen=True)
class Option:
    """An option's value, and its default where that is informative."""

    name: str
    value: str
    changed: bool
    usual: str


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a log.jsonl, without damaged ones; [] if there is no file."""
    return journal.read(path)[0]


def render(run: Path, options: Config, figures: Sequence[Figure]) -> str:
    """Return the text of a run's report.

    Pictures that were on the page before and have not changed are not read again.

    Args:
        figures: the figures of the run's task, drawn over its log.
    """
    measured, events = (read_log(run / name) for name in (checkpoint.METRICS, checkpoint.EVENTS))
    log, best = _read_timed_log(run), _best(run, measured)
    newest = checkpoint.names(run)
    facts = checkpoint.facts(run, newest[-1]) if newest else {}
    classes, marks = _class_names(facts, options), curves.marks_of_events(events)
    css, script = (
        templates.trust(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))
        for name in ("page.css", "page.js")
    )
    page = templates.render(
        "page.html.j2",
        title=f"{run.resolve().name}: {options.network.family} on {Path(options.data.source).name}",
        css=css,
        script=script,
        enlarged=_factor(options) > 1,
        tiles=_tiles(log, best),
        events=events,
        sheets=_sheets(run, options, classes),
        walk=_walk(run, options, classes),
        neighbours=_picture(run / checkpoint.NEIGHBOURS, embed.picture, _factor(options, capped=False)),
        measured=_measurements(measured, marks, best),
        game=_draw_charts(curves.charts_of_figures(figures, log, marks)),
        facts=_facts(facts, options),
        options=_options(options),
        config=options.to_json().splitlines(),
    )
    return str(page)


def _read_timed_log(run: Path) -> list[dict[str, Any]]:
    """Return the lines of the log, each with its times; runs of earlier versions have both in one file."""
    times = {line.get("images_seen"): line for line in read_log(run / checkpoint.TIMES)}
    log = [{**times.get(line.get("images_seen"), {}), **line} for line in read_log(run / checkpoint.LOG)]
    return [{"seconds": 0.0, **line} for line in log]


def _tiles(log: Lines, best: Mapping[str, Any] | None) -> Rows:
    tiles: dict[str, str] = {}
    if log:
        last = log[-1]
        tiles["of the run"] = f"{min(1.0, last['progress']):.0%}"
        tiles["images seen"] = f"{last['images_seen']:,}"
        tiles["minutes"] = f"{last['seconds'] / 60:,.1f}"
        tiles["images per second, over all"] = f"{last['images_seen'] / max(last['seconds'], 1e-9):,.0f}"
    if best is not None:
        tiles["images seen at the best"] = f"{best['images_seen']:,}"
        for measure in MEASURES.values():
            if measure.brief and measure.name in best["values"]:
                tiles[f"{measure.title} then"] = format(best["values"][measure.name], measure.brief)
    return tiles


def _best(run: Path, measured: Lines) -> Mapping[str, Any] | None:
    """Return the measurement of the best checkpoint: the one that `best` names, else the best by LEADING."""
    name = checkpoint.pointers(run)[1]
    for line in measured:
        if checkpoint.name_of(line["images_seen"]) == name:
            return line
    known = [line for line in measured if LEADING.name in line["values"]]
    choose = min if LEADING.best == LOW else max
    return choose(known, key=lambda line: float(line["values"][LEADING.name]), default=None)


# Pictures.


def _sheets(run: Path, options: Config, classes: Sequence[str]) -> Sheets | None:
    paths = embed.thin(sorted((run / checkpoint.SAMPLES).glob("[0-9]*.png")), _SHEETS)
    read = ((path, _picture(path, embed.picture, _factor(options))) for path in paths)
    found = [(path, one) for path, one in read if one is not None]
    while len(found) > 2 and sum(len(one.uri) for _, one in found) > MOST_CHARACTERS:
        found = embed.thin(found, (len(found) + 1) // 2)
    if not found:
        return None
    pictures = [one for _, one in found]
    captions = [f"after {int(path.stem):,} images" for path, _ in found]
    return Sheets(pictures, captions, _rows(pictures[-1], options, classes), len(classes))


def _rows(last: Embedded, options: Config, classes: Sequence[str]) -> Sequence[str]:
    """Return the classes of a sheet's rows; none if it has another layout."""
    height, width = options.data.height, options.data.width
    if not classes or not height or not width:
        return ()
    rows, columns = sheet.layout(height, width, len(classes))
    like = (last.size[1] / last.size[0]) / (rows * height / (columns * width))
    # Gaps between pictures make a small difference.
    return classes[:rows] if abs(like - 1) <= 0.1 else ()


def _walk(run: Path, options: Config, classes: Sequence[str]) -> Walk | None:
    film = _picture(run / checkpoint.WALK, embed.film, _factor(options))
    if film is None:
        return None
    captions = [f"step {index + 1} of {film.frames}" for index in range(film.frames)]
    height, width = options.data.height, options.data.width
    shown = walk.count_walks(height, width, len(classes)) if classes and height and width else 0
    return Walk(film, captions, classes[:shown])


def _picture(path: Path, read: Callable[[Path, int], Embedded], factor: int) -> Embedded | None:
    """Return a picture of the run's folder; None if it is damaged or missing."""
    try:
        return read(path, factor)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None


def _factor(options: Config, capped: bool = True) -> int:
    height, width = options.data.height, options.data.width
    if not height or not width:
        return 1
    return sheet.factor(height, width) if capped else factor_for(height, width)


def _class_names(facts: Mapping[str, Any], options: Config) -> list[str]:
    """Return the names of the classes; none if the generator takes none."""
    known = facts.get("data", {}).get("class_names", [])
    return [] if options.condition.generator == "none" else [str(name) for name in known]


# Curves and tables.


def _draw_charts(found: Sequence[Chart]) -> list[str]:
    return [figure for figure in map(line_charts.draw, found) if figure]


def _measurements(measured: Lines, marks: Sequence[Mark], best: Mapping[str, Any] | None) -> Measurements:
    newest = measured[-1] if measured else {}
    real = newest.get("baseline", {})
    at = best["images_seen"] if best else None
    keys = {
        "Ringed: the best checkpoint.": best,
        "Dotted: held-out real pictures, as many as samples.": real,
        "Upright: events, by number.": marks,
    }
    columns = {"newest": newest.get("values", {}), "best": best["values"] if best else {}}
    if real:
        columns["real pictures"] = real
    return Measurements(
        _draw_charts(curves.charts_of_measures(measured, marks, at, real)),
        [key for key, there in keys.items() if there],
        [*columns, "better"],
        _scores(list(columns.values())),
        {name: str(value) for name, value in newest.get("protocol", {}).items()},
    )


def _scores(columns: Sequence[Mapping[str, float]]) -> dict[str, list[str]]:
    """Return a row for each measure by its title: its value in each column, and which way is better."""
    rows = {}
    for name, measure in MEASURES.items():
        cells = [format(values[name], measure.form) if name in values else "" for values in columns]
        if any(cells):
            rows[measure.title] = [*cells, measure.better]
    return rows


def _facts(facts: Mapping[str, Any], options: Config) -> Rows:
    data, machine = facts.get("data", {}), facts.get("machine", {})
    rows = {
        "data": data.get("name", ""),
        "pictures": f"{data['pictures']:,}" if "pictures" in data else "",
        "classes": _list_names(data.get("class_names", [])),
        "prepared": data.get("preparation", ""),
        "licence": data.get("licence", ""),
        "SHA-256": options.data.sha256,
        **{name: str(value) for name, value in machine.items()},
    }
    return {name: value for name, value in rows.items() if value}


def _list_names(names: Sequence[object]) -> str:
    """Name the first classes, and count the others."""
    first = ", ".join(map(str, names[:_NAMED]))
    return f"{first}, and {len(names) - _NAMED} more" if len(names) > _NAMED else first


def _options(options: Config) -> dict[str, list[Option]]:
    """Return the options by their group."""
    usual = dict(leaves(Config()))
    groups: dict[str, list[Option]] = {"run": []}
    for place, value in leaves(options):
        group, _, name = place.rpartition(".")
        default, changed = usual[place], usual[place] != value
        # A default that only means that the data or the machine decides is not shown.
        tells = changed and default not in (None, "", "auto")
        option = Option(name, _write_value(value), changed, _write_value(default) if tells else "")
        groups.setdefault(group or "run", []).append(option)
    return groups


def _write_value(value: Any) -> str:
    """Write an option's value as the command line takes it."""
    if isinstance(value, str):
        return value or "empty"
    return f"{value:,}" if type(value) is int and value > 9999 else str(value).lower()
