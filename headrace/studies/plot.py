"""Plots as plain SVG: lines over named steps, on a logarithmic scale, in panels side by side."""

from dataclasses import dataclass
from math import ceil, floor, log10
from xml.sax.saxutils import escape


__all__ = ["Series", "Panel", "svg"]


WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP = 480, 300, 56, 64, 84, 28  # of a panel; room around it
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


@dataclass(frozen=True)
class Series:
    """A line: its name, and its value at each step that it has one at."""

    name: str
    values: dict


@dataclass(frozen=True)
class Panel:
    """A plot of some series under a title. Series of the same name look the same in all panels."""

    title: str
    series: list


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


def scale(values):
    """Marks of a logarithmic axis that the values lie between: 1, 2 and 5 of every decade."""
    low, high = min(values), max(values)
    marks = [m * 10**n for n in range(floor(log10(low)), ceil(log10(high)) + 2) for m in (1, 2, 5)]
    first = max(n for n, mark in enumerate(marks) if mark <= low)
    last = min(n for n, mark in enumerate(marks) if mark >= high and n > first)
    return marks[first : last + 1]


def _panel(panel, left, steps, marks, styles):
    span = log10(marks[-1] / marks[0])

    def across(step):
        return left + WIDTH * (steps.index(step) + 0.5) / len(steps)

    def up(value):
        return TOP + HEIGHT * (1 - log10(value / marks[0]) / span)

    yield text(
        left, TOP - 14, panel.title, size=14, anchor="start", colour=INK, extra=' font-weight="600"'
    )
    for mark in marks:
        yield f'<path d="M{left} {up(mark):.1f}h{WIDTH}" stroke="{GRID}"/>'
        yield text(left - 8, up(mark) + 4, f"{mark:g}", anchor="end")
    for step in steps:
        yield text(across(step), TOP + HEIGHT + 20, step)
    for series in panel.series:
        points = [
            (across(step), up(series.values[step])) for step in steps if step in series.values
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline points="{line}" fill="none" {stroke(styles[series.name])}/>'
        colour = styles[series.name][0]
        yield from (
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points
        )


def svg(title, what, panels, steps):
    """Text of a figure.

    Parameters
    ----------
    title, what : :class:`str`
        What it shows, and the values' unit.
    panels : list of :class:`Panel`
    steps : list of :class:`str`
        Places along the horizontal axis.
    """
    names = list(dict.fromkeys(series.name for panel in panels for series in panel.series))
    styles = dict(zip(names, STROKES))
    marks = scale(
        [v for panel in panels for series in panel.series for v in series.values.values()]
    )
    width = LEFT + len(panels) * (WIDTH + GAP)
    height = TOP + HEIGHT + BOTTOM
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'font-family="{FONT}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" rx="10" fill="{PAPER}"/>',
        text(16, 26, title, size=15, anchor="start", colour=INK, extra=' font-weight="600"'),
        text(width - 16, 26, what, anchor="end"),
    ]
    for n, panel in enumerate(panels):
        out += _panel(panel, LEFT + n * (WIDTH + GAP), list(steps), marks, styles)
    x = LEFT
    for name in names:
        out.append(f'<path d="M{x} {height - 24}h26" {stroke(styles[name])}/>')
        out.append(text(x + 32, height - 20, name, anchor="start", colour=INK))
        x += 64 + 7 * len(name)
    return "\n".join([*out, "</svg>"]) + "\n"
