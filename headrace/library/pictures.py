"""Pictures of a profile, as SVG: a roofline, and the memory's bandwidth over time."""

from math import ceil, floor, log10

from .profiling import Profile
from .svg import GRID, INK, SOFT, STROKES, card, text


__all__ = ["bandwidth", "roofline"]


WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 320, 64, 60, 40, 84
LABELS = 8  # nodes that are named
POINTS = 400  # of the bandwidth, at most


def _decades(values):
    return floor(log10(min(values))), ceil(log10(max(values)))


def _frame(across, up, xs, ys):
    """Grid and marks: (value, text) along each axis."""
    for value, mark in xs:
        yield f'<path d="M{across(value):.1f} {TOP}v{HEIGHT}" stroke="{GRID}"/>'
        yield text(across(value), TOP + HEIGHT + 20, mark)
    for value, mark in ys:
        yield f'<path d="M{LEFT} {up(value):.1f}h{WIDTH}" stroke="{GRID}"/>'
        yield text(LEFT - 8, up(value) + 4, mark, anchor="end")


def _line(points, colour, dashes=""):
    return (
        f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" fill="none" '
        f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>'
    )


def roofline(found: Profile, name: str) -> str:
    """Multiply-accumulates a cycle of each node that multiplies, by how many it has for each byte
    that it reads; under the roofs of the memory and of the core.
    """
    machine = found.machine
    roof = machine.rows * 32 * machine.columns
    peak = machine.dram_peak / machine.clock_mhz / 1e6  # bytes a cycle
    nodes = [n for n in found.nodes if n["macs"] and n["bytes"] and n["busy"]]
    points = [(n["macs"] / n["bytes"], n["macs"] / n["busy"], n) for n in nodes]
    xs = [x for x, _, _ in points] or [1.0]
    x_low, x_high = _decades([*xs, roof / peak, roof / peak * 10])
    y_low, y_high = _decades([y for _, y, _ in points] + [roof, roof / 10])

    def across(x):
        return LEFT + WIDTH * (log10(x) - x_low) / (x_high - x_low)

    def up(y):
        return TOP + HEIGHT * (1 - (log10(y) - y_low) / (y_high - y_low))

    def slope(rate):
        """From where the memory's line enters the frame, to the core's roof."""
        first = max(10**x_low, 10**y_low / rate)
        return [(across(first), up(rate * first)), (across(roof / rate), up(roof))]

    parts = [
        *_frame(
            across,
            up,
            [(10**n, f"{10.0**n:g}") for n in range(x_low, x_high + 1)],
            [(10**n, f"{10.0**n:g}") for n in range(y_low, y_high + 1)],
        ),
        _line(slope(peak), STROKES[1][0], "6 3"),
        _line(slope(peak * found.ceiling), STROKES[0][0]),
        _line([(across(roof / peak), up(roof)), (LEFT + WIDTH, up(roof))], STROKES[2][0]),
        text(LEFT + WIDTH - 4, up(roof) - 8, f"core: {roof:,} MAC/cycle", anchor="end"),
    ]
    named = sorted(nodes, key=lambda n: -n["busy"])[:LABELS]
    for x, y, node in points:
        colour = STROKES[5 if node["unit"] == "linear" else 3][0]
        parts.append(f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="4" fill="{colour}"/>')
    below = TOP + HEIGHT + 44
    parts += [
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
    parts += _labels([(across(x), up(y), n) for x, y, n in points if n in named])
    return card(LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM, f"{name} on {found.config}", "", parts)


def _labels(points):
    """Names of nodes, right of them or left, and below where others are."""
    taken = {1: [], -1: []}
    for x, y, node in sorted(points, key=lambda point: point[1]):
        side = 1
        while any(abs(y - other) < 12 for other in taken[side]):
            side = -side if x < LEFT + WIDTH / 2 else 1
            y += 12 * (side > 0)
        taken[side].append(y)
        anchor = "start" if side > 0 else "end"
        yield text(x + 8 * side, y + 4, node["name"], size=11, anchor=anchor, colour=SOFT)


def bandwidth(found: Profile, name: str) -> str:
    """Bandwidth of each client of the memory over the time of the step, one above the other."""
    from sim.fpga.traffic import CLIENTS, bandwidth as rates

    machine = found.machine
    step = max(1, len(found.traffic) // POINTS)
    points = list(rates(found.traffic[::step], machine))
    begin, end = (points[0][0], points[-1][0]) if len(points) > 1 else (0, 1)
    top = max([machine.dram_peak, *(sum(its.values()) for _, its in points)]) / 1e9

    def across(cycle):
        return LEFT + WIDTH * (cycle - begin) / (end - begin)

    def up(rate):
        return TOP + HEIGHT * (1 - rate / top)

    millis = (end - begin) / machine.clock_mhz / 1e3
    parts = list(
        _frame(
            across,
            up,
            [(begin + (end - begin) * n / 5, f"{millis * n / 5:.3g}") for n in range(6)],
            [(top * n / 4, f"{top * n / 4:.3g}") for n in range(5)],
        )
    )
    below = [0.0] * len(points)
    for n, client in enumerate(CLIENTS):
        above = [low + its[client] / 1e9 for low, (_, its) in zip(below, points)]
        outline = [(across(cycle), up(rate)) for (cycle, _), rate in zip(points, above)]
        outline += [(across(cycle), up(rate)) for (cycle, _), rate in zip(points, below)][::-1]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in outline)
        parts.append(f'<polygon points="{path}" fill="{STROKES[n][0]}" fill-opacity="0.8"/>')
        below = above
        left = LEFT + n * WIDTH / len(CLIENTS)
        y = TOP + HEIGHT + 62
        parts.append(
            f'<rect x="{left}" y="{y - 10}" width="12" height="12" fill="{STROKES[n][0]}"/>'
        )
        parts.append(text(left + 18, y, client, anchor="start", colour=INK))
    peak = up(machine.dram_peak * found.ceiling / 1e9)
    parts += [
        _line([(LEFT, peak), (LEFT + WIDTH, peak)], STROKES[2][0], "6 3"),
        text(LEFT + WIDTH, TOP - 12, "dashed: ceiling of a sequential stream", anchor="end"),
        text(LEFT + WIDTH / 2, TOP + HEIGHT + 40, "ms"),
        text(LEFT, TOP - 12, "GB/s", anchor="start"),
    ]
    return card(LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM, f"{name} on {found.config}", "", parts)
