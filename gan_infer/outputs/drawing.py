"""Boxes, lines and words on paper, written as SVG or painted by Pillow."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from gan_infer.text.escaping import plain

if TYPE_CHECKING:
    from PIL import Image

INK: Final = "#222222"
FAINT: Final = "#d8d8d8"
_TEXT: Final = 12
_SHARPNESS: Final = 2  # pixels per unit of the drawing


@dataclasses.dataclass(frozen=True)
class Frame:
    """A sheet of paper with margins, sizes in units of the drawing.

    A point inside the margins is given by two fractions: 0 to 1 from left to right, and from bottom to top.
    """

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    def x(self, share: float) -> float:
        """Return the distance from the left edge for a fraction of the inner width."""
        return self.left + (self.width - self.left - self.right) * share

    def y(self, share: float) -> float:
        """Return the distance from the top edge for a fraction of the inner height."""
        return self.height - self.bottom - (self.height - self.top - self.bottom) * share


# A page styles an element with a `name`, which is its CSS class.
@dataclasses.dataclass(frozen=True)
class Box:
    """A filled rectangle."""

    left: float
    top: float
    right: float
    bottom: float
    colour: str = INK
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Stroke:
    """A line through points."""

    points: Sequence[tuple[float, float]]
    colour: str = INK
    width: float = 1.0
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Rule:
    """A straight line from (x1, y1) to (x2, y2): of a grid, or a mark."""

    x1: float
    y1: float
    x2: float
    y2: float
    colour: str = FAINT
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Dot:
    """A filled circle around (x, y)."""

    x: float
    y: float
    radius: float
    colour: str = INK
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Words:
    """A line of text that starts ("start"), is centred ("middle") or ends ("end") at (x, y), its baseline."""

    x: float
    y: float
    text: str
    anchor: str = "middle"
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Group:
    """Elements with a common title, which a page shows when the pointer is over them."""

    elements: Sequence[Box | Stroke | Rule | Dot | Words]
    title: str
    name: str = ""


Element = Box | Stroke | Rule | Dot | Words | Group


def svg(frame: Frame, elements: Sequence[Element]) -> str:
    """Return elements as the text of an SVG file."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {frame.width} {frame.height}" '
        f'font-family="sans-serif" font-size="{_TEXT}">'
    )
    paper = f'<rect width="{frame.width}" height="{frame.height}" fill="white"/>'
    return "\n".join([head, paper, *map(svg_element, elements), "</svg>", ""])


def svg_element(element: Element) -> str:
    """Return an element as SVG, its texts escaped."""
    if isinstance(element, Group):
        inside = "".join(map(svg_element, element.elements))
        return f'<g class="{element.name}"><title>{_escape(element.title)}</title>{inside}</g>'
    if isinstance(element, Words):
        place = f'x="{element.x:.1f}" y="{element.y:.1f}" text-anchor="{element.anchor}"'
        return f"<text{_style(element.name, fill=INK)} {place}>{_escape(element.text)}</text>"
    if isinstance(element, Box):
        sides = f'width="{element.right - element.left:.1f}" height="{element.bottom - element.top:.1f}"'
        style = _style(element.name, fill=element.colour)
        return f'<rect{style} x="{element.left:.1f}" y="{element.top:.1f}" {sides}/>'
    if isinstance(element, Dot):
        place = f'cx="{element.x:.1f}" cy="{element.y:.1f}" r="{element.radius:g}"'
        return f"<circle{_style(element.name, fill=element.colour)} {place}/>"
    if isinstance(element, Rule):
        ends = f'x1="{element.x1:.1f}" x2="{element.x2:.1f}" y1="{element.y1:.1f}" y2="{element.y2:.1f}"'
        return f"<line{_style(element.name, stroke=element.colour)} {ends}/>"
    # Values are read from the height of a curve, so it gets one more digit.
    places = " ".join(f"{x:.1f},{y:.2f}" for x, y in element.points)
    style = _style(element.name, fill="none", stroke=element.colour, stroke_width=f"{element.width:g}")
    return f'<polyline{style} points="{places}"/>'


def _style(name: str, **colours: str) -> str:
    if name:
        return f' class="{name}"'
    return "".join(f' {key.replace("_", "-")}="{value}"' for key, value in colours.items())


def _escape(text: str) -> str:
    return html.escape(plain(text))


def paint(frame: Frame, elements: Sequence[Element]) -> Image.Image:
    """Return elements as an RGB picture of twice the frame's size in pixels."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (frame.width * _SHARPNESS, frame.height * _SHARPNESS), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(_TEXT * _SHARPNESS)
    for element in elements:
        _paint_one(pen, font, element)
    return image


def _paint_one(pen: Any, font: Any, element: Element) -> None:
    def scale(*lengths: float) -> list[float]:
        return [length * _SHARPNESS for length in lengths]

    if isinstance(element, Group):
        for each in element.elements:
            _paint_one(pen, font, each)
    elif isinstance(element, Words):
        anchor = {"start": "ls", "middle": "ms", "end": "rs"}[element.anchor]
        pen.text(scale(element.x, element.y), plain(element.text), fill=INK, font=font, anchor=anchor)
    elif isinstance(element, Box):
        corners = scale(element.left, element.top, element.right, max(element.top, element.bottom))
        pen.rectangle(corners, fill=element.colour)
    elif isinstance(element, Dot):
        pen.circle(scale(element.x, element.y), element.radius * _SHARPNESS, fill=element.colour)
    elif isinstance(element, Rule):
        pen.line(scale(element.x1, element.y1, element.x2, element.y2), fill=element.colour, width=_SHARPNESS)
    else:
        places = scale(*(side for point in element.points for side in point))
        pen.line(places, fill=element.colour, width=round(element.width * _SHARPNESS))
