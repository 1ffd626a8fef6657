"""Plots as plain SVG: lines over named steps, on a logarithmic scale, in panels side by side."""

from dataclasses import dataclass
from math import ceil, floor, log10

from ..library.svg import GRID, INK, STROKES, card, stroke, text


__all__ = ["Series", "Panel", "svg"]


WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP = 480, 300, 56, 64, 84, 28  # of a panel; room around it


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
    out = []
    for n, panel in enumerate(panels):
        out += _panel(panel, LEFT + n * (WIDTH + GAP), list(steps), marks, styles)
    x = LEFT
    for name in names:
        out.append(f'<path d="M{x} {height - 24}h26" {stroke(styles[name])}/>')
        out.append(text(x + 32, height - 20, name, anchor="start", colour=INK))
        x += 64 + 7 * len(name)
    return card(width, height, title, what, out)
