"""report.html: one self-contained page of a run, made anew from what lies in its folder."""

from __future__ import annotations

import dataclasses
import html
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

from PIL import Image

from gan_infer.outputs.image import factor_for
from gan_train.config.options import Config, leaves
from gan_train.metrics.measure import LOW, Measure
from gan_train.metrics.scores import LEADING, MEASURES
from gan_train.reports import charts, embed, sheet, walk
from gan_train.reports.charts import Chart, Line, Mark, escape
from gan_train.reports.embed import Embedded
from gan_train.runs import checkpoint, journal
from gan_train.tasks.figures import LOSS, SCORE, SHARE, Figure, by_network, of_kind

_SHEETS: Final = 24
_NAMED: Final = 20
_SHARE: Final = (0.0, 1.0)
# The sheets together; the walk and the neighbours come on top.
_MOST_CHARACTERS: Final = 5_000_000
Lines = Sequence[Mapping[str, Any]]


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a log.jsonl; [] where there is none, a torn or damaged line is left out."""
    return journal.read(path)[0]


def render(run: Path, options: Config, figures: Sequence[Figure]) -> str:
    """Return the text of a run's report, with the figures of its task.

    Pictures of the folder that were on the page before and have not changed are not read again.
    """
    measured, events = (read_log(run / name) for name in (checkpoint.METRICS, checkpoint.EVENTS))
    log = _timed_log(run)
    newest = checkpoint.names(run)
    facts = checkpoint.facts(run, newest[-1]) if newest else {}
    best = _best(run, measured)
    title = f"{run.resolve().name}: {options.network.family} on {Path(options.data.source).name}"
    parts = [
        f"<header><h1>{escape(title)}</h1>{_tiles(log, best)}</header>",
        _events(events),
        f'<div class="pictures">{_samples(run, facts, options)}'
        f"<div>{_walk(run, facts, options)}{_neighbours(run, options)}</div></div>",
        _section("Measured", _measured_charts(measured, events, best) + _scores(measured, best)),
        _section("The game", _logged_charts(log, events, figures)),
        _section("Data and machine", _facts(facts, options)),
        _section("Options", _options(options)),
    ]
    css, script = (
        resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
        for name in ("page.css", "page.js")
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{css}</style></head>"
        f'<body><main class="{"small" if _factor(options) > 1 else "large"}">{"".join(parts)}</main>'
        f"<script>{script}</script></body></html>\n"
    )


def _timed_log(run: Path) -> list[dict[str, Any]]:
    """Return the lines of the log, each with its times; runs of before have them in the log itself."""
    times = {line.get("images_seen"): line for line in read_log(run / checkpoint.TIMES)}
    log = [{**times.get(line.get("images_seen"), {}), **line} for line in read_log(run / checkpoint.LOG)]
    return [{"seconds": 0.0, **line} for line in log]


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>" if body else ""


# The head.


def _tiles(log: Lines, best: Mapping[str, Any] | None) -> str:
    tiles: dict[str, str] = {}
    if log:
        last = log[-1]
        tiles["of the run"] = f"{min(1.0, last['progress']):.0%}"
        tiles["images seen"] = f"{last['images_seen']:,}"
        tiles["minutes"] = f"{last['seconds'] / 60:,.1f}"
        tiles["images per second, over all"] = f"{last['images_seen'] / max(last['seconds'], 1e-9):,.0f}"
    if best is not None:
        values = best["values"]
        tiles["images seen at the best"] = f"{best['images_seen']:,}"
        for measure in MEASURES.values():
            if measure.brief and measure.name in values:
                tiles[f"{measure.title} then"] = format(values[measure.name], measure.brief)
    items = "".join(f"<li><b>{value}</b><span>{name}</span></li>" for name, value in tiles.items())
    return f'<ul class="tiles">{items}</ul>' if items else ""


def _best(run: Path, measured: Lines) -> Mapping[str, Any] | None:
    """Return the measurement of the best checkpoint: the one pointed at, else of the smallest distance."""
    name = checkpoint.pointers(run)[1]
    for line in measured:
        if checkpoint.name_of(line["images_seen"]) == name:
            return line
    known = [line for line in measured if LEADING.name in line["values"]]
    choose = min if LEADING.best == LOW else max
    return choose(known, key=lambda line: float(line["values"][LEADING.name]), default=None)


def _events(events: Lines) -> str:
    items = "".join(
        f"<li><b>{escape(event['kind'])}</b> at {event['images_seen']:,} images: {escape(event['text'])}</li>"
        for event in events
    )
    return _section("What happened", f'<ol class="events">{items}</ol>') if items else ""


# Pictures.


def _samples(run: Path, facts: Mapping[str, Any], options: Config) -> str:
    paths = embed.sparse(sorted((run / checkpoint.SAMPLES).glob("[0-9]*.png")), _SHEETS)
    read = ((path, _read(embed.picture, path, _factor(options))) for path in paths)
    shown = [(path, one) for path, one in read if one is not None]
    while len(shown) > 2 and sum(len(one.uri) for _, one in shown) > _MOST_CHARACTERS:
        shown = embed.sparse(shown, (len(shown) + 1) // 2)
    if not shown:
        return ""
    last = len(shown) - 1
    captions = [f"after {int(path.stem):,} images" for path, _ in shown]
    pictures = "".join(
        f'<img data-frame src="{one.uri}" {_sized(one)} '
        f'alt="samples {caption}"{"" if index == last else " hidden"}>'
        for index, (caption, (_, one)) in enumerate(zip(captions, shown, strict=True))
    )
    names, note = _row_names(shown[-1][1], facts, options)
    body = f'<div class="sheet">{names}<div>{pictures}</div></div>'
    return _section("Samples, the same seeds every time", _player(body, captions, last, 350, "sheet") + note)


def _read(embedded: Callable[[Path, int], Embedded], path: Path, factor: int) -> Embedded | None:
    """Return a picture of the run's folder; None for a damaged one, which the page leaves out."""
    try:
        return embedded(path, factor)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None


def _sized(shown: Embedded) -> str:
    """Return attributes that show a picture as large as its file, if the window is high enough."""
    width, height = shown.size
    style = f"width:min({width}px,max(78vh,30rem)*{width / height:.4f})"
    return f'width="{width}" height="{height}" style="{style}"'


def _player(body: str, captions: Sequence[str], start: int, wait_ms: int, what: str) -> str:
    """Put a slider and a button over pictures that are looked at one at a time."""
    if len(captions) < 2:
        return f"{body}<p>{captions[0]}</p>"
    told = html.escape(json.dumps(captions))
    return (
        f'<div class="player" data-captions="{told}" data-wait="{wait_ms}"><div class="time">'
        f'<button type="button" aria-label="play, every {what} in turn">Play</button>'
        f'<input type="range" min="0" max="{len(captions) - 1}" value="{start}" '
        f'aria-label="{what}, from the first to the last" aria-valuetext="{captions[start]}">'
        f"<output>{captions[start]}</output></div>{body}</div>"
    )


def _row_names(shown: Embedded, facts: Mapping[str, Any], options: Config) -> tuple[str, str]:
    """Return the classes' names to stand beside a sheet's rows, and a line on those not shown."""
    names = _class_names(facts, options)
    height, width = options.data.height, options.data.width
    if not names or not height or not width:
        return "", ""
    rows, columns = sheet.layout(height, width, len(names))
    like = (shown.size[1] / shown.size[0]) / (rows * height / (columns * width))
    if abs(like - 1) > 0.1:  # a sheet of another layout; gaps between pictures make a small difference
        return "", ""
    items = "".join(f'<li title="{name}">{name}</li>' for name in names[:rows])
    more = f"<p><small>The first {rows} of {len(names)} classes.</small></p>" if rows < len(names) else ""
    return f'<ol class="rows" aria-label="classes of the rows, from the top">{items}</ol>', more


def _walk(run: Path, facts: Mapping[str, Any], options: Config) -> str:
    path = run / checkpoint.WALK
    if not path.exists():
        return ""
    film = _read(embed.film, path, _factor(options))
    if film is None:
        return ""
    width, height = film.size
    captions = [f"step {index + 1} of {film.frames}" for index in range(film.frames)]
    names, side = _class_names(facts, options), (options.data.height, options.data.width)
    above = ""
    if names and side[0] and side[1]:
        shown = names[: walk.walks(side[0], side[1], len(names))]
        items = "".join(f'<li title="{name}">{name}</li>' for name in shown)
        above = f'<ol class="columns" aria-label="classes of the columns, from the left">{items}</ol>'
    body = (
        f'<div class="film" style="width:max({width}px,32rem)">{above}'
        f'<div style="aspect-ratio:{width}/{height}">'
        f'<img data-strip src="{film.uri}" width="{width}" height="{height * film.frames}" '
        'alt="generated pictures on the way from seed to seed"></div></div>'
    )
    text = "<p><small>From seed to seed through the latent space, and back to the first.</small></p>"
    return _section("A walk", _player(body, captions, 0, 120, "step") + text)


def _neighbours(run: Path, options: Config) -> str:
    path = run / checkpoint.NEIGHBOURS
    if not path.exists():
        return ""
    shown = _read(embed.picture, path, _factor(options, capped=False))
    if shown is None:
        return ""
    image = f'<img src="{shown.uri}" {_sized(shown)} alt="samples with the real pictures nearest to them">'
    text = (
        "<p>Each row: a sample, then the real pictures nearest to it, half of them by features, half by "
        "pixels. A sample that equals its neighbour has been learnt by heart.</p>"
    )
    return _section("Nearest real pictures", text + image)


def _factor(options: Config, capped: bool = True) -> int:
    height, width = options.data.height, options.data.width
    if not height or not width:
        return 1
    return sheet.factor(height, width) if capped else factor_for(height, width)


def _class_names(facts: Mapping[str, Any], options: Config) -> list[str]:
    """Return the classes' names, escaped; none where the generator is told none."""
    known = facts.get("data", {}).get("class_names", [])
    return [] if options.condition.generator == "none" else [escape(str(name)) for name in known]


# Curves.


def _marks(events: Lines) -> list[Mark]:
    return [Mark(event["images_seen"], f"{event['kind']}: {event['text']}") for event in events]


def _measured_charts(measured: Lines, events: Lines, best: Mapping[str, Any] | None) -> str:
    marks, real = _marks(events), measured[-1].get("baseline", {}) if measured else {}
    at, drawn = best["images_seen"] if best else None, []
    for title, measures in _by_chart().items():
        lines = [
            Line(
                measure.curve,
                _points((m["images_seen"], m["values"].get(measure.name)) for m in measured),
                real.get(measure.name),
            )
            for measure in measures
        ]
        values = [y for line in lines for _, y in line.points]
        steep = measures[0].steep and bool(values) and min(values) > 0
        drawn.append(charts.draw(Chart(title, lines, measures[0].limits, marks, at, steep)))
    keys = {
        "Ringed: the best checkpoint.": best,
        "Dotted: held-out real pictures, as many as samples.": real,
        "Upright: events, by number.": marks,
    }
    text = " ".join(key for key, there in keys.items() if there)
    note = f"<p><small>{text}</small></p>" if text else ""
    return f'<div class="charts">{"".join(drawn)}</div>{note}' if any(drawn) else ""


def _by_chart() -> dict[str, list[Measure]]:
    """Return the measures that are drawn, by the title of their chart."""
    groups: dict[str, list[Measure]] = {}
    for measure in MEASURES.values():
        if measure.chart:
            groups.setdefault(measure.chart, []).append(measure)
    return groups


def _logged_charts(log: Lines, events: Lines, figures: Sequence[Figure]) -> str:
    marks = _marks(events)
    drawn = [charts.draw(dataclasses.replace(chart, marks=marks)) for chart in _charts_of_log(log, figures)]
    return f'<div class="charts">{"".join(drawn)}</div>' if any(drawn) else ""


def _charts_of_log(log: Lines, figures: Sequence[Figure]) -> list[Chart]:
    """Return the charts of a task's figures: scores by network, losses together, each share alone."""

    def curve(name: str, key: str) -> Line:
        return Line(name, _points((line["images_seen"], line.get(key)) for line in log))

    def curves(chosen: Sequence[Figure]) -> list[Line]:
        return [curve(figure.title, figure.name) for figure in chosen]

    drawn = [
        Chart(
            f"How real the {network.replace('_', ' ')} finds them (0.5: it cannot tell)", curves(own), _SHARE
        )
        for network, own in by_network(figures, SCORE).items()
    ]
    drawn.append(Chart("Losses", curves(of_kind(figures, LOSS))))
    drawn.append(Chart("Learning rate", [curve("all networks", "learning_rate")]))
    drawn.append(Chart("Images per second", [curve("training", "images_per_second")]))
    for figure in of_kind(figures, SHARE):
        line = curve(figure.title, figure.name)
        if any(0 < y < 1 for _, y in line.points):  # one that stays at an end tells nothing
            drawn.append(Chart(figure.title[:1].upper() + figure.title[1:], [line], _SHARE))
    return drawn


def _points(pairs: Iterable[tuple[float, float | None]]) -> list[charts.Point]:
    return [(x, y) for x, y in pairs if y is not None]


# Tables.


def _scores(measured: Lines, best: Mapping[str, Any] | None) -> str:
    """Return a table of all that was measured, at the best checkpoint and at the newest, and how."""
    if not measured:
        return ""
    newest = measured[-1]
    columns = {"newest": newest["values"], "best": best["values"] if best else {}}
    if newest.get("baseline"):
        columns["real pictures"] = newest["baseline"]
    rows = []
    for name, measure in MEASURES.items():
        cells = [format(values[name], measure.form) if name in values else "" for values in columns.values()]
        if any(cells):
            rows.append((measure.title, *cells, measure.better))
    told = {name: str(value) for name, value in newest.get("protocol", {}).items()}
    how = f"<details><summary>How it was measured</summary>{_table(told)}</details>" if told else ""
    return _grid(("", *columns, "better"), rows) + how


def _facts(facts: Mapping[str, Any], options: Config) -> str:
    data, machine = facts.get("data", {}), facts.get("machine", {})
    rows = {
        "data": data.get("name", ""),
        "pictures": f"{data['pictures']:,}" if "pictures" in data else "",
        "classes": _listed(data.get("class_names", [])),
        "prepared": data.get("preparation", ""),
        "licence": data.get("licence", ""),
        "SHA-256": options.data.sha256,
        **{name: str(value) for name, value in machine.items()},
    }
    known = {name: value for name, value in rows.items() if value}
    return _table(known) if known else ""


def _listed(names: Sequence[object]) -> str:
    """Name the first classes, and count the others."""
    shown = ", ".join(map(str, names[:_NAMED]))
    return f"{shown}, and {len(names) - _NAMED} more" if len(names) > _NAMED else shown


def _options(options: Config) -> str:
    """Return the options in groups; those that differ from the default ones in bold, with the default."""
    usual = dict(leaves(Config()))
    tree: dict[str, list[str]] = {"run": []}
    for place, value in leaves(options):
        group, _, name = place.rpartition(".")
        changed = usual[place] != value
        # Nothing is said of a default that only means that the data or the machine decides.
        told = changed and usual[place] not in (None, "", "auto")
        aside = f" <small>(default {_written(usual[place])})</small>" if told else ""
        tree.setdefault(group or "run", []).append(
            f"<tr{' class=set' if changed else ''}><th scope=row>{name}</th>"
            f"<td>{_written(value)}{aside}</td></tr>"
        )
    groups = "".join(
        f"<div><h3>{group}</h3><table>{''.join(rows)}</table></div>" for group, rows in tree.items()
    )
    raw = f"<details><summary>config.json</summary><pre>{html.escape(options.to_json())}</pre></details>"
    note = "<p><small>Bold: other than the default.</small></p>"
    return f'{note}<div class="groups">{groups}</div>{raw}'


def _written(value: Any) -> str:
    """Write an option's value as the command line takes it."""
    if isinstance(value, str):
        return escape(value) or "empty"
    return f"{value:,}" if type(value) is int and value > 9999 else str(value).lower()


def _table(rows: Mapping[str, str]) -> str:
    cells = "".join(
        f"<tr><th scope=row>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows.items()
    )
    return f"<table>{cells}</table>"


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th scope=col>{escape(title)}</th>" if title else "<td></td>" for title in head)
    body = "".join(
        f"<tr><th scope=row>{escape(first)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in rest)}</tr>"
        for first, *rest in rows
    )
    return f'<div class="wide"><table class="scores"><tr>{top}</tr>{body}</table></div>'
