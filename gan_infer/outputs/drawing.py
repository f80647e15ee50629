"""Shapes on paper, written as SVG or painted by Pillow."""

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

    Inside of the margins places are named by shares: 0 to 1 from left to right, and from the bottom up.
    """

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int

    def x(self, share: float) -> float:
        """Return how far from the left a share of the inside lies."""
        return self.left + (self.width - self.left - self.right) * share

    def y(self, share: float) -> float:
        """Return how far from the top a share of the inside lies."""
        return self.height - self.bottom - (self.height - self.top - self.bottom) * share


# A shape with a `name` is styled by the page that it stands in, which finds it as a CSS class.
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
    """A line of text: at the left ("start"), centre ("middle") or right ("end") of (x, y), its foot."""

    x: float
    y: float
    text: str
    anchor: str = "middle"
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Group:
    """Shapes that belong together, with a title that a page shows under the pointer."""

    shapes: Sequence[Box | Stroke | Rule | Dot | Words]
    title: str
    name: str = ""


Shape = Box | Stroke | Rule | Dot | Words | Group


def svg(frame: Frame, shapes: Sequence[Shape]) -> str:
    """Return shapes as the text of an SVG file."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {frame.width} {frame.height}" '
        f'font-family="sans-serif" font-size="{_TEXT}">'
    )
    paper = f'<rect width="{frame.width}" height="{frame.height}" fill="white"/>'
    return "\n".join([head, paper, *map(svg_element, shapes), "</svg>", ""])


def svg_element(shape: Shape) -> str:
    """Return a shape as an element of SVG, its texts escaped."""
    if isinstance(shape, Group):
        inside = "".join(map(svg_element, shape.shapes))
        return f'<g class="{shape.name}"><title>{_escape(shape.title)}</title>{inside}</g>'
    if isinstance(shape, Words):
        place = f'x="{shape.x:.1f}" y="{shape.y:.1f}" text-anchor="{shape.anchor}"'
        return f"<text{_style(shape.name, fill=INK)} {place}>{_escape(shape.text)}</text>"
    if isinstance(shape, Box):
        sides = f'width="{shape.right - shape.left:.1f}" height="{shape.bottom - shape.top:.1f}"'
        style = _style(shape.name, fill=shape.colour)
        return f'<rect{style} x="{shape.left:.1f}" y="{shape.top:.1f}" {sides}/>'
    if isinstance(shape, Dot):
        place = f'cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="{shape.radius:g}"'
        return f"<circle{_style(shape.name, fill=shape.colour)} {place}/>"
    if isinstance(shape, Rule):
        ends = f'x1="{shape.x1:.1f}" x2="{shape.x2:.1f}" y1="{shape.y1:.1f}" y2="{shape.y2:.1f}"'
        return f"<line{_style(shape.name, stroke=shape.colour)} {ends}/>"
    # A value is read off a curve's height, so that has a digit more.
    places = " ".join(f"{x:.1f},{y:.2f}" for x, y in shape.points)
    style = _style(shape.name, fill="none", stroke=shape.colour, stroke_width=f"{shape.width:g}")
    return f'<polyline{style} points="{places}"/>'


def _style(name: str, **colours: str) -> str:
    if name:
        return f' class="{name}"'
    return "".join(f' {key.replace("_", "-")}="{value}"' for key, value in colours.items())


def _escape(text: str) -> str:
    return html.escape(plain(text))


def paint(frame: Frame, shapes: Sequence[Shape]) -> Image.Image:
    """Return shapes as an RGB picture of twice the frame's size in pixels."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (frame.width * _SHARPNESS, frame.height * _SHARPNESS), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(_TEXT * _SHARPNESS)
    for shape in shapes:
        _paint_one(pen, font, shape)
    return image


def _paint_one(pen: Any, font: Any, shape: Shape) -> None:
    def scale(*lengths: float) -> list[float]:
        return [length * _SHARPNESS for length in lengths]

    if isinstance(shape, Group):
        for each in shape.shapes:
            _paint_one(pen, font, each)
    elif isinstance(shape, Words):
        anchor = {"start": "ls", "middle": "ms", "end": "rs"}[shape.anchor]
        pen.text(scale(shape.x, shape.y), plain(shape.text), fill=INK, font=font, anchor=anchor)
    elif isinstance(shape, Box):
        corners = scale(shape.left, shape.top, shape.right, max(shape.top, shape.bottom))
        pen.rectangle(corners, fill=shape.colour)
    elif isinstance(shape, Dot):
        pen.circle(scale(shape.x, shape.y), shape.radius * _SHARPNESS, fill=shape.colour)
    elif isinstance(shape, Rule):
        pen.line(scale(shape.x1, shape.y1, shape.x2, shape.y2), fill=shape.colour, width=_SHARPNESS)
    else:
        places = scale(*(side for point in shape.points for side in point))
        pen.line(places, fill=shape.colour, width=round(shape.width * _SHARPNESS))
