"""Loss curves of training runs, drawn as plain SVG."""

import math
from dataclasses import dataclass
from xml.sax.saxutils import escape

from . import files


__all__ = ["Axes", "svg"]


WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 62, 20, 56, 52
FONT = "Inter, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
INK, SOFT, GRID, PAPER = "#1f2937", "#4b5563", "#e2e8f0", "#fcfcfd"
COLOURS = ("#2671b8", "#c27803", "#2f8f57", "#7c57c9")


@dataclass(frozen=True)
class Axes:
    """What the drawing's edges stand for: millions of tokens, and nats per token."""

    tokens: float
    low: float
    high: float

    def x(self, tokens):
        return LEFT + tokens / self.tokens * (WIDTH - LEFT - RIGHT)

    def y(self, nats):
        return TOP + (self.high - min(nats, self.high)) / (self.high - self.low) * (
            HEIGHT - TOP - BOTTOM
        )


def text(x, y, what, *, size=12.5, anchor="middle", colour=SOFT, weight="normal"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}" '
        f'font-weight="{weight}">{escape(what)}</text>'
    )


def line(axes, points, colour, dashes=""):
    path = " ".join(f"{axes.x(t):.1f},{axes.y(n):.1f}" for t, n in points)
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8" '
        f'stroke-linejoin="round" stroke-dasharray="{dashes}"/>'
    )


def grid(axes):
    """Lines and numbers of both axes, and what they count."""
    out, step = [], 10 ** math.floor(math.log10(axes.tokens))
    step = next(s for s in (step / 5, step / 2, step, 2 * step) if axes.tokens / s <= 9)
    ticks = [n * step for n in range(int(axes.tokens / step) + 1)]
    out += [
        f'<line x1="{axes.x(t):.1f}" y1="{TOP}" x2="{axes.x(t):.1f}" y2="{HEIGHT - BOTTOM}" '
        f'stroke="{GRID}"/>' + text(axes.x(t), HEIGHT - BOTTOM + 18, f"{t:g}")
        for t in ticks
    ]
    for half in range(math.ceil(2 * axes.low), math.floor(2 * axes.high) + 1):
        y = axes.y(half / 2)
        out.append(
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{GRID}"/>'
            + text(LEFT - 8, y + 4, f"{half / 2:.1f}", anchor="end")
        )
    out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "million tokens seen"))
    out.append(
        text(LEFT, TOP - 10, "nats per token in validation (dashed: in training)", anchor="start")
    )
    return out


def svg(folders):
    """The chart of the `training.json` of folders: validation in full lines, training dashed."""
    runs = [files.history(folder) for folder in folders]
    last = [run["curve"][-1] for run in runs]
    best = min(min(row[2:]) for run in runs for row in run["curve"])
    axes = Axes(
        max(row[1] for row in last) / 1e6, math.floor(2 * best) / 2, math.ceil(2 * best) / 2 + 1.5
    )
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="{FONT}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="10" fill="{PAPER}"/>',
        *grid(axes),
    ]
    for n, run in enumerate(runs):
        colour, share = COLOURS[n % len(COLOURS)], (WIDTH - LEFT - RIGHT) / len(runs)
        for column, dashes in (2, "3 3"), (3, ""):
            out.append(
                line(axes, [(row[1] / 1e6, row[column]) for row in run["curve"]], colour, dashes)
            )
        name = f"{run['model']}: {run['curve'][-1][3]:.2f}"
        out.append(text(LEFT + n * share, 24, name, anchor="start", colour=colour, weight="bold"))
    return "\n".join([*out, "</svg>"]) + "\n"
