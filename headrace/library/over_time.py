"""Pictures of a profile over time, as SVG: the memory's bandwidth, and what units are at."""

from .profiling import Profile
from .svg import INK, PAPER, STROKES, Plot, card, line, text


__all__ = ["bandwidth", "timeline"]


WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 320, 64, 60, 40, 84
TRACKS = ("linear", "attention", "vector", "load")
LONG, TRACK, LOW = 1120, 34, 150  # width of a timeline, heights of its tracks and of its bandwidth
LETTER = 6.2  # width of one
POINTS = 400  # of the bandwidth, at most


def bandwidth(found: Profile, name: str) -> str:
    """Bandwidth of each client of the memory over the time of the step, one above the other."""
    traffic = found.recording.traffic
    begin, end = (int(traffic[n][0]) if len(traffic) > 1 else -n for n in (0, -1))
    parts = _bandwidth(found, begin, end, TOP, WIDTH, HEIGHT)
    return card(LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM, f"{name} on {found.config}", "", parts)


def timeline(found: Profile, name: str) -> str:
    """What units are at in a layer in the middle of the step, with the bandwidth below."""
    spans = found.recording.spans
    layers = sorted({span.layer for span in spans if span.layer is not None})
    layer = layers[len(layers) // 2]
    begin, end = _extent(span for span in spans if span.layer == layer and span.unit == "linear")
    # The norm before the first product is the layer's, too.
    begin = max((b for b in _ends(spans, layer - 1) if b <= begin), default=begin)
    parts = []
    for n, unit in enumerate(TRACKS):
        top = TOP + n * TRACK
        parts.append(text(LEFT - 8, top + TRACK / 2 + 4, unit, size=11, anchor="end"))
        for span in spans:
            start, stop = max(span.start, begin), min(span.start + span.cycles, end)
            if span.unit == unit and start < stop:
                parts += _box(span, start, stop, n, top, LONG / (end - begin), begin)
    below = TOP + len(TRACKS) * TRACK + 40
    parts += _bandwidth(found, begin, end, below, LONG, LOW)
    about = f"layer {layer}, cycles {begin:,} to {end:,}"
    size = LEFT + LONG + RIGHT, below + LOW + BOTTOM
    return card(*size, f"{name} on {found.config}", about, parts)


def _extent(spans):
    ends = [(span.start, span.start + span.cycles) for span in spans]
    return min(start for start, _ in ends), max(stop for _, stop in ends)


def _ends(spans, layer):
    """Where LINEAR's spans of a layer end."""
    return [s.start + s.cycles for s in spans if s.layer == layer and s.unit == "linear"]


def _box(span, start, stop, n, top, scale, begin):
    """A span, with as much of its name's end as has room."""
    x, width = LEFT + (start - begin) * scale, (stop - start) * scale
    yield (
        f'<rect x="{x:.1f}" y="{top + 3}" width="{max(width, 0.5):.1f}" height="{TRACK - 6}" '
        f'fill="{STROKES[(0, 3, 5, 2)[n]][0]}" stroke="{PAPER}" stroke-width="0.5">'
        f"<title>{span.name}: {span.cycles:,} cycles</title></rect>"
    )
    for parts in (2, 1):
        label = " / ".join(span.node.split(" / ")[-parts:])
        if LETTER * len(label) < width:
            yield text(x + width / 2, top + TRACK / 2 + 4, label, size=11, colour="#ffffff")
            return


def _bandwidth(found, begin, end, top, width, height):
    """An area of each client's bandwidth over some cycles, and the clients' names."""
    from sim.fpga.traffic import CLIENTS, bandwidth as rates

    machine, rows = found.machine, found.recording.traffic
    rows = rows[(rows[:, 0] >= begin) & (rows[:, 0] <= end)]
    points = list(rates(rows[:: max(1, len(rows) // POINTS)], machine))
    most = max([machine.dram_peak, *(sum(its.values()) for _, its in points)]) / 1e9
    plot = Plot(
        left=LEFT,
        top=top,
        width=width,
        height=height,
        right_of=lambda cycle: (cycle - begin) / (end - begin),
        above=lambda rate: rate / most,
    )
    millis = (end - begin) / machine.clock_mhz / 1e3
    yield from plot.axes(
        [(begin + (end - begin) * n / 5, f"{millis * n / 5:.3g}") for n in range(6)],
        [(most * n / 4, f"{most * n / 4:.3g}") for n in range(5)],
    )
    below = [0.0] * len(points)
    for n, client in enumerate(CLIENTS):
        above = [low + its[client] / 1e9 for low, (_, its) in zip(below, points)]
        outline = [plot.at(cycle, rate) for (cycle, _), rate in zip(points, above)]
        outline += [plot.at(cycle, rate) for (cycle, _), rate in zip(points, below)][::-1]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in outline)
        colour = STROKES[n][0]
        yield f'<polygon points="{path}" fill="{colour}" fill-opacity="0.8"/>'
        left, y = LEFT + n * width / len(CLIENTS), top + height + 62
        yield f'<rect x="{left}" y="{y - 10}" width="12" height="12" fill="{colour}"/>'
        yield text(left + 18, y, client, anchor="start", colour=INK)
        below = above
    ceiling = machine.dram_peak * found.ceiling / 1e9
    yield line([plot.at(begin, ceiling), plot.at(end, ceiling)], STROKES[2][0], "6 3")
    yield text(LEFT + width, top - 12, "dashed: ceiling of a sequential stream", anchor="end")
    yield text(LEFT + width / 2, top + height + 40, "ms")
    yield text(LEFT, top - 12, "GB/s", anchor="start")
