"""Parts of plots as plain SVG."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape


__all__ = [
    "FONT",
    "GRID",
    "INK",
    "PAPER",
    "SOFT",
    "STROKES",
    "Plot",
    "card",
    "line",
    "stroke",
    "text",
]


FONT = "Inter, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
INK, SOFT, GRID, PAPER = (
    "#1f2937",
    "#4b5563",
    "#d8dee6",
    "#fcfcfd",
)  # a light card, in dark mode too
# Colours that people who see few of them can tell apart (Okabe and Ito), and dashes.
STROKES = [
    ("#0072b2", ""),
    ("#56b4e9", "6 3"),
    ("#d55e00", ""),
    ("#e69f00", "6 3"),
    ("#4b5563", "2 3"),
    ("#009e73", "8 2 2 2"),
]


def text(x, y, what, *, size=12, anchor="middle", colour=SOFT, extra=""):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="{colour}"{extra}>'
        f"{escape(what)}</text>"
    )


def stroke(style):
    colour, dashes = style
    return f'stroke="{colour}" stroke-width="2"' + (
        f' stroke-dasharray="{dashes}"' if dashes else ""
    )


def card(width: float, height: float, title: str, what: str, parts: Iterable[str]) -> str:
    """Text of a figure on a light card: its title, and at the right what it shows."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'font-family="{FONT}">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{width}" height="{height}" rx="10" fill="{PAPER}"/>',
            text(16, 26, title, size=15, anchor="start", colour=INK, extra=' font-weight="600"'),
            text(width - 16, 26, what, anchor="end"),
            *parts,
            "</svg>\n",
        ]
    )


def line(points: Iterable[tuple[float, float]], colour: str, dashes: str = "") -> str:
    """A line through points."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
        f'stroke-dasharray="{dashes}"/>'
    )


@dataclass(frozen=True, kw_only=True)
class Plot:
    """An area with axes: where it is on the figure, and where a value is along each axis, from 0 at
    the left or bottom to 1.
    """

    left: float
    top: float
    width: float
    height: float
    right_of: Callable[[float], float]
    above: Callable[[float], float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point is on the figure."""
        return (
            self.left + self.width * self.right_of(x),
            self.top + self.height * (1 - self.above(y)),
        )

    def axes(
        self, xs: Iterable[tuple[float, str]], ys: Iterable[tuple[float, str]]
    ) -> Iterable[str]:
        """A grid with marks at values."""
        bottom = self.top + self.height
        for value, mark in xs:
            x = self.left + self.width * self.right_of(value)
            yield f'<path d="M{x:.1f} {self.top}v{self.height}" stroke="{GRID}"/>'
            yield text(x, bottom + 20, mark)
        for value, mark in ys:
            y = bottom - self.height * self.above(value)
            yield f'<path d="M{self.left} {y:.1f}h{self.width}" stroke="{GRID}"/>'
            yield text(self.left - 8, y + 4, mark, anchor="end")
