"""A run of four reports on disk, what it says while it goes, and its page taken apart."""

from __future__ import annotations

import json
from html.parser import HTMLParser

from gan_train.reports.status import Status
from gan_train.tasks.figures import LOSS, SCORE, Figure
from gan_train.tasks.generate import FIGURES

TWO_GAMES = (
    Figure("loss_of_voices", "voices", LOSS, "speaker"),
    Figure("likes_music", "recordings", SCORE, "hearer_of_music", of_real=True),
    Figure("likes_voices", "made voices", SCORE, "hearer_of_voices", of_real=False),
)


class Page(HTMLParser):
    """Collects a page's elements; fails on tags that are not closed in order."""

    VOID = ("meta", "img", "input", "br", "line", "polyline", "circle")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data


def parse_page(text: str) -> Page:
    page = Page()
    page.feed(text)
    return page


def status(images: int) -> Status:
    names = (figure.name for figure in FIGURES)
    figures = dict(zip(names, (0.8, 1.3, 0.6, 0.4, 0.0), strict=True))
    return Status(images, images / 400, images / 100, 99.0, 1.0, 1e-3, figures)


def log_line(status: Status) -> str:
    """Return the line of the log that a run writes of a status, of before: with its times."""
    return json.dumps({**vars(status), **status.figures, "figures": None})
