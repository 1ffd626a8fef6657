"""A roofline of a profile, as SVG."""

from math import ceil, floor, log10

from rtl.spec.numbers import GROUP

from .profiling import Profile
from .svg import SOFT, STROKES, Plot, card, line, text


__all__ = ["roofline"]


WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 320, 64, 60, 40, 84
LABELS = 8  # nodes that are named
DASHED, PLAIN, ROOF, PRODUCT, OTHER = (STROKES[n][0] for n in (1, 0, 2, 5, 3))


def _logarithmic(values):
    """Whole decades around values, and where a value is between their ends."""
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return range(low, high + 1), lambda value: (log10(value) - low) / (high - low)


def roofline(found: Profile, name: str) -> str:
    """Multiply-accumulates a cycle of each node that multiplies, by how many it has for each byte
    that it reads; under the roofs of the memory and of the core.
    """
    machine = found.machine
    roof = machine.rows * GROUP * machine.columns
    peak = machine.dram_peak / machine.clock_mhz / 1e6  # bytes a cycle
    knee = roof / peak
    nodes = [n for n in found.nodes if n["macs"] and n["bytes"] and n["busy"]]
    points = [(n["macs"] / n["bytes"], n["macs"] / n["busy"], n) for n in nodes]
    columns, across = _logarithmic([*(x for x, _, _ in points), knee, 10 * knee])
    rows, up = _logarithmic([*(y for _, y, _ in points), roof, roof / 10])
    plot = Plot(left=LEFT, top=TOP, width=WIDTH, height=HEIGHT, right_of=across, above=up)
    low_x, low_y, high_x = 10.0 ** columns[0], 10.0 ** rows[0], 10.0 ** columns[-1]

    def slope(rate, colour, dashes=""):
        """The memory's line, from where it enters the plot to the core's roof."""
        first = max(low_x, low_y / rate)
        return line([plot.at(first, rate * first), plot.at(roof / rate, roof)], colour, dashes)

    right, top = plot.at(high_x, roof)
    below = TOP + HEIGHT + 44
    parts = [
        *plot.axes(*([(10.0**n, f"{10.0**n:g}") for n in its] for its in (columns, rows))),
        slope(peak, DASHED, "6 3"),
        slope(peak * found.ceiling, PLAIN),
        line([plot.at(knee, roof), (right, top)], ROOF),
        text(right - 4, top - 8, f"core: {roof:,} MAC/cycle", anchor="end"),
        text(LEFT + WIDTH / 2, below, "multiply-accumulates per byte read"),
        text(LEFT, TOP - 12, "MAC/cycle", anchor="start"),
        text(
            LEFT,
            below + 22,
            f"lines: memory's peak, {peak:.1f} bytes/cycle (dashed), its ceiling, "
            f"{100 * found.ceiling:.1f} %, and the core; points: products (green), attention",
            anchor="start",
            size=11,
        ),
    ]
    for x, y, node in points:
        colour = PRODUCT if node["unit"] == "linear" else OTHER
        at_x, at_y = plot.at(x, y)
        parts.append(f'<circle cx="{at_x:.1f}" cy="{at_y:.1f}" r="4" fill="{colour}"/>')
    named = sorted(points, key=lambda point: -point[2]["busy"])[:LABELS]
    parts += _labels([(*plot.at(x, y), node["name"]) for x, y, node in named])
    return card(LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM, f"{name} on {found.config}", "", parts)


def _labels(points):
    """Names of points, right of them or left, and below where others are."""
    taken = {1: [], -1: []}
    for x, y, name in sorted(points, key=lambda point: point[1]):
        side = 1
        while any(abs(y - other) < 12 for other in taken[side]):
            side = -side if x < LEFT + WIDTH / 2 else 1
            y += 12 * (side > 0)
        taken[side].append(y)
        anchor = "start" if side > 0 else "end"
        yield text(x + 8 * side, y + 4, name, size=11, anchor=anchor, colour=SOFT)
