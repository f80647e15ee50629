"""report.html: one self-contained page of a run, made anew from what lies in its folder."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

from PIL import Image

from gan_train import checkpoint, config
from gan_train.config import Config
from gan_train.reports import charts
from gan_train.reports.charts import Chart, Line, Point

_SHEETS: Final = 24
# All pictures of the page together, before they are written as text.
_MOST_BYTES: Final = 5_000_000
Lines = Sequence[Mapping[str, Any]]

# Charts of what is measured: the title, its curves (name, key), and limits.
_MEASURED: Final = (
    ("Frechet distance (lower is better)", (("samples", "frechet"),), None),
    ("Precision and recall", (("precision", "precision"), ("recall", "recall")), (0.0, 1.0)),
    ("Density and coverage", (("density", "density"), ("coverage", "coverage")), None),
    ("Label accuracy", (("samples", "label_accuracy"),), None),
    ("Variety (1: as the real pictures)", (("samples", "variety"),), None),
)
_LOGGED: Final = (
    (
        "How real the discriminator holds them (0.5: it cannot tell)",
        (("real pictures", "belief_in_real"), ("generated", "belief_in_fake")),
        (0.0, 1.0),
    ),
    ("Losses", (("discriminator", "discriminator_loss"), ("generator", "generator_loss")), None),
    ("Learning rate", (("both players", "learning_rate"),), None),
    ("Images a second", (("training", "images_per_second"),), None),
    ("Strength of augmentation", (("share of pictures", "augment_strength"),), (0.0, 1.0)),
)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Give the whole lines of a log.jsonl; [] where there is none, a torn last line is left out."""
    if not path.exists():
        return []
    lines = []
    for text in path.read_text().splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines


def render(run: Path, options: Config) -> str:
    """Give the text of a run's report."""
    log, measured, events = (
        read_log(run / name) for name in (checkpoint.LOG, checkpoint.METRICS, checkpoint.EVENTS)
    )
    newest = checkpoint.names(run)
    facts = checkpoint.facts(run, newest[-1]) if newest else {}
    title = f"{run.resolve().name}: {options.network.family} on {Path(options.data.source).name}"
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        _tiles(log, measured),
        _events(events),
        _samples(run, facts, options),
        _walk(run),
        _section("Measured", _measured_charts(measured, events) + _protocol(measured)),
        _section("The game", _logged_charts(log, events, options)),
        _neighbours(run),
        _section("Data and machine", _facts(facts, options)),
        _section("Options", _options(options)),
    ]
    css, script = (
        resources.files(__package__).joinpath(name).read_text() for name in ("page.css", "page.js")
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{css}</style></head>"
        f"<body>{''.join(parts)}<script>{script}</script></body></html>\n"
    )


def _section(title: str, body: str) -> str:
    return f"<section><h2>{html.escape(title)}</h2>{body}</section>" if body else ""


def _tiles(log: Lines, measured: Lines) -> str:
    tiles: dict[str, str] = {}
    if log:
        last = log[-1]
        tiles["of the run"] = f"{min(1.0, last['progress']):.0%}"
        tiles["images seen"] = f"{last['images_seen']:,}"
        tiles["minutes"] = f"{last['seconds'] / 60:,.1f}"
        tiles["images/s over all"] = f"{last['images_seen'] / max(last['seconds'], 1e-9):,.0f}"
    best = _best(measured)
    if best is not None:
        values = best["values"]
        tiles["Frechet distance, the best"] = f"{values['frechet']:.3g}"
        tiles["images seen by then"] = f"{best['images_seen']:,}"
        if "label_accuracy" in values:
            tiles["label accuracy then"] = f"{values['label_accuracy']:.1%}"
    items = "".join(f"<li><b>{value}</b><span>{name}</span></li>" for name, value in tiles.items())
    return f'<ul class="tiles">{items}</ul>' if items else ""


def _best(measured: Lines) -> Mapping[str, Any] | None:
    known = [line for line in measured if "frechet" in line["values"]]
    return min(known, key=lambda line: float(line["values"]["frechet"]), default=None)


def _events(events: Lines) -> str:
    items = "".join(
        f"<li><b>{html.escape(event['kind'])}</b> at {event['images_seen']:,} images: "
        f"{html.escape(event['text'])}</li>"
        for event in events
    )
    return _section("What happened", f'<ul class="events">{items}</ul>') if items else ""


def _samples(run: Path, facts: Mapping[str, Any], options: Config) -> str:
    sheets = _affordable(charts.spread(sorted((run / checkpoint.SAMPLES).glob("*.png")), _SHEETS))
    if not sheets:
        return ""
    last = len(sheets) - 1
    shown = "".join(
        f'<img data-sheet src="{_data_uri(path)}" alt="after {int(path.stem):,} images"'
        f"{'' if index == last else ' hidden'}>"
        for index, path in enumerate(sheets)
    )
    control = (
        '<div class="time"><button id="play" type="button">Play</button>'
        f'<input id="when" type="range" min="0" max="{last}" value="{last}" '
        'aria-label="sample sheet, from the first to the newest">'
        f'<output id="said" for="when">after {int(sheets[last].stem):,} images</output></div>'
        if last > 0
        else ""
    )
    return _section(
        "Samples, the same seeds every time",
        f'{control}<div class="sheet">{_row_names(sheets[last], facts, options)}<div>{shown}</div></div>',
    )


def _row_names(sheet: Path, facts: Mapping[str, Any], options: Config) -> str:
    """Give the classes' names beside the rows of a sheet."""
    names = facts.get("data", {}).get("class_names", [])
    if not names or options.condition.generator == "none" or not options.data.height:
        return ""
    with Image.open(sheet) as image:
        rows = max(1, round(image.height / image.width * 8 * options.data.width / options.data.height))  # type: ignore[operator]
    shown = "".join(f"<span>{html.escape(str(name))}</span>" for name in names[:rows])
    return f'<div class="rows" aria-hidden="true">{shown}</div>'


def _walk(run: Path) -> str:
    path = run / checkpoint.WALK
    if not path.exists():
        return ""
    picture = (
        f'<img src="{_data_uri(path, "webp")}" alt="moving pictures of a walk through the latent space">'
    )
    return _section("A walk through the latent space, from seed to seed", picture)


def _neighbours(run: Path) -> str:
    path = run / checkpoint.NEIGHBOURS
    if not path.exists():
        return ""
    picture = f'<img src="{_data_uri(path)}" alt="samples with the real pictures nearest to them">'
    text = (
        "<p>Each row: a sample, then the real pictures nearest to it, three by features and three by pixels. "
        "A sample that equals its neighbour has been learnt by heart.</p>"
    )
    return _section("Nearest real pictures", text + picture)


def _affordable(paths: Sequence[Path]) -> list[Path]:
    """Give at most as many pictures as the page may hold, evenly spread, the last among them."""
    chosen = list(paths)
    while len(chosen) > 1 and sum(path.stat().st_size for path in chosen) > _MOST_BYTES:
        chosen = charts.spread(chosen, max(1, len(chosen) * 2 // 3)) if len(chosen) > 2 else chosen[-1:]
    return chosen


def _measured_charts(measured: Lines, events: Lines) -> str:
    marks = [event["images_seen"] for event in events]
    best = _best(measured)
    drawn = []
    for title, curves, limits in _MEASURED:
        lines = [
            Line(name, [(m["images_seen"], m["values"][key]) for m in measured if key in m["values"]])
            for name, key in curves
        ]
        ring: Point | None = None
        frechet = curves[0][1] == "frechet"
        if frechet and best is not None:
            ring = (best["images_seen"], best["values"]["frechet"])
        positive = all(y > 0 for line in lines for _, y in line.points)
        drawn.append(charts.draw(Chart(title, lines, limits, marks, ring, frechet and positive)))
    return f'<div class="charts">{"".join(drawn)}</div>' if any(drawn) else ""


def _logged_charts(log: Lines, events: Lines, options: Config) -> str:
    marks = [event["images_seen"] for event in events]
    drawn = []
    for title, curves, limits in _LOGGED:
        if curves[0][1] == "augment_strength" and not config.policies(options.augment):
            continue
        lines = [
            Line(name, [(line["images_seen"], line[key]) for line in log if key in line])
            for name, key in curves
        ]
        drawn.append(charts.draw(Chart(title, lines, limits, marks)))
    return f'<div class="charts">{"".join(drawn)}</div>' if any(drawn) else ""


def _protocol(measured: Lines) -> str:
    if not measured:
        return ""
    told = "; ".join(f"{name}: {value}" for name, value in measured[-1].get("protocol", {}).items())
    return f"<p><small>How it was measured: {html.escape(told)}</small></p>" if told else ""


def _facts(facts: Mapping[str, Any], options: Config) -> str:
    data, machine = facts.get("data", {}), facts.get("machine", {})
    rows = {
        "data": data.get("name", ""),
        "pictures": f"{data['pictures']:,}" if "pictures" in data else "",
        "classes": ", ".join(map(str, data.get("class_names", []))),
        "prepared": data.get("preparation", ""),
        "licence": data.get("licence", ""),
        "SHA-256": options.data.sha256,
        **{name: str(value) for name, value in machine.items()},
    }
    return _table({name: value for name, value in rows.items() if value})


def _options(options: Config) -> str:
    """Give the options in groups, those that differ from the default ones in bold."""
    usual, groups = dict(config.leaves(Config())), []
    tree: dict[str, dict[str, Any]] = {"run": {}}
    for place, value in config.leaves(options):
        group, _, name = place.rpartition(".")
        tree.setdefault(group or "run", {})[name] = (value, usual[place] != value)
    for group, values in tree.items():
        rows = "".join(
            f"<tr{' class=set' if changed else ''}><td>{name}</td><td>{html.escape(str(value))}</td></tr>"
            for name, (value, changed) in values.items()
        )
        groups.append(f"<div><h3>{group}</h3><table>{rows}</table></div>")
    raw = f"<details><summary>config.json</summary><pre>{html.escape(options.to_json())}</pre></details>"
    bold = "<p><small>Bold: other than the default.</small></p>"
    return f'<div class="groups">{"".join(groups)}</div>{bold}{raw}'


def _table(rows: Mapping[str, str]) -> str:
    cells = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>" for name, value in rows.items()
    )
    return f"<table>{cells}</table>"


def _data_uri(path: Path, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
