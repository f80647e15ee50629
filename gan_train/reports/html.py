"""report.html: one self-contained file of curves, sample sheets and the whole config of a run."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from gan_train import checkpoint
from gan_train.config import Config

Item = TypeVar("Item")

_WIDTH, _HEIGHT, _MARGIN = 640, 200, 44
_POINTS: Final = 400  # more than a screen can show of a curve
_SHEETS: Final = 24
_COLOURS: Final = ("#2f6fb5", "#c2572b")

_STYLE: Final = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}
svg{width:100%;height:auto;display:block} svg text{font-size:12px;fill:currentColor}
figure{margin:1.5rem 0} figcaption{font-size:.9rem}
img{image-rendering:pixelated;max-width:100%;height:auto}
.strip{display:flex;gap:.75rem;overflow-x:auto} .strip figure{flex:0 0 9rem;margin:0}
pre{overflow-x:auto;font-size:.85rem} table{border-collapse:collapse} td{padding:.1rem .8rem .1rem 0}
"""


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


def render(run: Path, config: Config) -> str:
    """Give the text of a run's report, from its log and its sample sheets."""
    log = read_log(run / checkpoint.LOG)
    sheets = _spread(sorted((run / checkpoint.SAMPLES).glob("*.png")), _SHEETS)
    title = f"{run.resolve().name}: {config.network.family} on {config.data.source}"
    parts = [f"<h1>{html.escape(title)}</h1>", _facts(log)]
    if sheets:
        parts.append(_picture(sheets[-1]))
    parts.append(
        _chart(
            "Belief of the discriminator that a picture is real (0.5: it cannot tell)",
            log,
            {"real pictures": "belief_in_real", "generated": "belief_in_fake"},
            (0.0, 1.0),
        )
    )
    parts.append(
        _chart("Losses", log, {"discriminator": "discriminator_loss", "generator": "generator_loss"}, None)
    )
    if len(sheets) > 1:
        strip = "".join(_picture(path) for path in sheets)
        parts.append(f'<h2>Samples over time</h2><div class="strip">{strip}</div>')
    parts.append(f"<h2>Options</h2><pre>{html.escape(config.to_json())}</pre>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _facts(log: Sequence[dict[str, Any]]) -> str:
    if not log:
        return ""
    last = log[-1]
    rows = {
        "images seen": f"{last['images_seen']:,}",
        "minutes": f"{last['seconds'] / 60:.1f}",
        "of the run": f"{min(1.0, last['progress']):.0%}",
        "images/s": f"{last['images_seen'] / max(last['seconds'], 1e-9):.0f}",
    }
    cells = "".join(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in rows.items())
    return f"<table>{cells}</table>"


def _picture(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    caption = f"after {int(path.stem):,} images"
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="sample sheet {caption}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _chart(
    title: str,
    log: Sequence[dict[str, Any]],
    lines: dict[str, str],
    limits: tuple[float, float] | None,
) -> str:
    log = _spread(log, _POINTS)
    if len(log) < 2:
        return ""
    values = [line[key] for line in log for key in lines.values()]
    low, high = limits or (min(0.0, *values), max(values))
    span_x = max(log[-1]["images_seen"], 1)
    span_y = (high - low) or 1.0

    def place(images: float, value: float) -> str:
        x = _MARGIN + (_WIDTH - 2 * _MARGIN) * images / span_x
        y = _HEIGHT - _MARGIN / 2 - (_HEIGHT - _MARGIN) * (value - low) / span_y
        return f"{x:.1f},{y:.1f}"

    body = []
    for value in (low, (low + high) / 2, high):
        left, right = place(0, value), place(span_x, value)
        y = left.split(",")[1]
        body.append(f'<polyline points="{left} {right}" stroke="currentColor" opacity=".2"/>')
        body.append(f'<text x="{_MARGIN - 6}" y="{y}" text-anchor="end">{value:.2g}</text>')
    body.append(f'<text x="{_WIDTH - _MARGIN}" y="{_HEIGHT - 4}" text-anchor="end">{span_x:,} images</text>')
    for key, colour in zip(lines.values(), _COLOURS, strict=False):
        points = " ".join(place(line["images_seen"], line[key]) for line in log)
        body.append(f'<polyline points="{points}" stroke="{colour}" stroke-width="2"/>')
    legend = ", ".join(
        f'<span style="color:{colour}">&#9644; {name}</span>'
        for name, colour in zip(lines, _COLOURS, strict=False)
    )
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(title)}" '
        f'fill="none">{"".join(body)}</svg><figcaption>{html.escape(title)}: {legend}</figcaption></figure>'
    )


def _spread(items: Sequence[Item], most: int) -> list[Item]:
    """Give at most `most` items, evenly spread, the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]
