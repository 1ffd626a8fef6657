"""Block diagram of the accelerator: boxes and wires as data, drawn as plain SVG."""

from dataclasses import dataclass
from xml.sax.saxutils import escape


__all__ = ["WIDTH", "HEIGHT", "FRAMES", "BOXES", "WIRES", "NOTES", "text_width", "svg"]


WIDTH, HEIGHT = 1200, 832
TITLE, SMALL = 15, 12.5  # font sizes
FONT = "Inter, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"

INK, SOFT, PAPER = "#1f2937", "#4b5563", "#fcfcfd"  # a light card, in dark mode too
COLOURS = {  # fill and outline
    "control": ("#eef2f7", "#64748b"),
    "linear": ("#fdf1dc", "#c27803"),
    "vector": ("#e4f5ea", "#2f8f57"),
    "attention": ("#f1eafd", "#7c57c9"),
    "memory": ("#e3f0fb", "#2671b8"),
    "outside": ("#ffffff", "#64748b"),
}
STROKES = {  # colour, width, dashes
    "data": ("#334155", 1.8, ""),
    "weights": ("#2671b8", 5.0, ""),
    "control": ("#8492a6", 1.5, "5 4"),
}

HEADS = {"data": 9, "weights": 14, "control": 9}  # length of the arrow heads


@dataclass(frozen=True)
class Box:
    """A rectangle: its place, its kind (a colour), a title, and lines below it."""

    x: float
    y: float
    w: float
    h: float
    kind: str
    title: str
    lines: tuple = ()

    def edge(self, side):
        """A point on the border: a side, `n`, `e`, `s` or `w`, and how far along it in percent."""
        along = float(side[1:] or 50) / 100
        x, y = self.x + along * self.w, self.y + along * self.h
        return {
            "n": (x, self.y),
            "s": (x, self.y + self.h),
            "w": (self.x, y),
            "e": (self.x + self.w, y),
        }[side[0]]


@dataclass(frozen=True)
class Wire:
    """An arrow along `points`: `box.side` texts; (x, None) and (None, y) keep the other
    coordinate, and y may be a `box.side` too. `both`: an arrow head at both ends."""

    kind: str
    points: tuple
    both: bool = False

    def coordinates(self):
        x = y = None
        for point in self.points:
            if isinstance(point, str):
                x, y = place(point)
            else:
                new_x, new_y = point
                if isinstance(new_x, str):
                    new_x = place(new_x)[0]
                if isinstance(new_y, str):
                    new_y = place(new_y)[1]
                x, y = x if new_x is None else new_x, y if new_y is None else new_y
            yield x, y


def place(text):
    name, _, side = text.partition(".")
    return (BOXES.get(name) or FRAMES[name]).edge(side)


FRAMES = {
    "queues": Box(24, 150, 1152, 62, "control", ""),
    "linear": Box(168, 244, 432, 342, "linear", "Linear unit"),
    "vector": Box(726, 244, 208, 342, "vector", "Vector unit"),
    "attention": Box(974, 244, 202, 342, "attention", "Attention unit"),
    "dram": Box(24, 722, 1152, 62, "memory", "DRAM"),
}

BOXES = {
    "host": Box(36, 48, 140, 58, "outside", "Host", ("AXI4-Lite",)),
    "registers": Box(
        252, 48, 240, 58, "control", "Control, registers", ("start, tokens, logits, faults",)
    ),
    "fetch": Box(568, 48, 190, 58, "control", "Fetch", ("program memory",)),
    "sequencer": Box(834, 48, 330, 58, "control", "Sequencer", ("loops, registers, addresses",)),
    "q_stream": Box(36, 164, 96, 34, "outside", "STREAM"),
    "q_linear": Box(321, 164, 108, 34, "outside", "LINEAR"),
    "q_load": Box(617, 164, 92, 34, "outside", "LOAD"),
    "q_vector": Box(776, 164, 108, 34, "outside", "VECTOR"),
    "q_attention": Box(1015, 164, 120, 34, "outside", "ATTENTION"),
    "stream": Box(36, 280, 96, 58, "memory", "Stream", ("prefetch",)),
    "load": Box(617, 522, 92, 48, "memory", "Load", ("tables",)),
    "acts": Box(310, 280, 130, 58, "linear", "Activations", ("int8, 32 a group",)),
    "unpack": Box(184, 380, 102, 74, "linear", "Unpack", ("codes, scales,", "centres")),
    "core": Box(310, 380, 130, 74, "linear", "Systolic core", ("N × 32 × M cells,", "exact sums")),
    "groups": Box(464, 380, 120, 74, "linear", "Group scale", ("exact, 53 bits",)),
    "embed": Box(184, 494, 102, 54, "linear", "Embed", ("one row",)),
    "best": Box(310, 494, 130, 54, "linear", "Best logits", ("64 best, sorted",)),
    "rows": Box(464, 494, 120, 54, "linear", "Row scale", ("to fp32",)),
    "quant": Box(742, 280, 176, 58, "vector", "Quantizer", ("power-of-two scales",)),
    "lanes": Box(742, 380, 136, 74, "vector", "fp32 lanes", ("a·b + c, dot,", "seeds, clamp")),
    "vmem": Box(
        742, 494, 176, 76, "vector", "Vector memory", ("fp32 words,", "one write, three reads")
    ),
    "append": Box(990, 280, 146, 58, "attention", "Append", ("int8 keys, values",)),
    "queries": Box(990, 380, 146, 54, "attention", "Queries", ("int16",)),
    "attend": Box(
        990,
        478,
        146,
        92,
        "attention",
        "Attend",
        ("one pass, integer:", "scores, powers of 2,", "running maxima"),
    ),
    "reader": Box(
        24,
        630,
        1044,
        54,
        "memory",
        "Memory reader",
        ("AXI4 bursts; a FIFO each for weights, tables, KV and program",),
    ),
    "writer": Box(1092, 630, 84, 54, "memory", "Writer", ("AXI4",)),
    "d_program": Box(106, 735, 98, 36, "outside", "program"),
    "d_weights": Box(216, 735, 376, 36, "outside", "weights: layers, LM head, embedding"),
    "d_tables": Box(604, 735, 158, 36, "outside", "gains, RoPE"),
    "d_kv": Box(774, 735, 390, 36, "outside", "KV cache: blocks of 32 positions"),
}

BUS = 130  # where instructions fan out to the queues
RESULT_ROW = 508  # of the linear unit's results
WIRES = [
    Wire("control", ("host.e", "registers.w"), both=True),
    Wire("control", ("registers.e", "fetch.w")),
    Wire("control", ("fetch.e", "sequencer.w")),
    *[
        Wire("control", ("sequencer.s", (None, BUS), (f"{q}.n", None), f"{q}.n"))
        for q in ("q_stream", "q_attention")
    ],
    *[Wire("control", ((f"{q}.n", BUS), f"{q}.n")) for q in ("q_linear", "q_load", "q_vector")],
    Wire("control", ("q_stream.s", "stream.n")),
    Wire("control", ("q_linear.s", (None, "linear.n"))),
    Wire("control", ("q_load.s", "load.n")),
    Wire("control", ("q_vector.s", (None, "vector.n"))),
    Wire("control", ("q_attention.s", (None, "attention.n"))),
    Wire("control", ("stream.s", (None, "reader.n"))),
    Wire("control", ("d_program.n", (None, "reader.s"))),
    Wire("control", ("reader.w", (10, None), (None, 20), ("fetch.n", None), "fetch.n")),
    Wire("weights", ("d_weights.n", (None, "reader.s"))),
    Wire("weights", ((150, "reader.n"), (None, "unpack.w"), "unpack.w")),
    Wire("weights", ("unpack.e", "core.w")),
    Wire("data", ("acts.s", "core.n")),
    Wire("data", ("core.e", "groups.w")),
    Wire("data", ("groups.s", "rows.n")),
    Wire("data", ("rows.w", "best.e")),
    Wire("data", ("unpack.s", "embed.n")),
    Wire("data", ("embed.s", (None, 568), ("rows.s", None), "rows.s")),
    Wire("data", (("rows.e", RESULT_ROW), ("vmem.w", None))),
    Wire("data", ("d_tables.n", (None, "reader.s"))),
    Wire("data", (("load.s", "reader.n"), "load.s")),
    Wire("data", ("load.e", ("vmem.w", None))),
    Wire("data", (("lanes.s30", "vmem.n"), "lanes.s30")),
    Wire("data", ("lanes.s70", (None, "vmem.n"))),
    Wire("data", ((898, "vmem.n"), (None, "quant.s"))),
    Wire("data", ("quant.w", "acts.e")),
    Wire("data", ("quant.e", "append.w")),
    Wire("data", ("quant.e", (954, None), (None, "queries.w"), "queries.w")),
    Wire("data", ("queries.s", "attend.n")),
    Wire("data", ("attend.w", ("vmem.e", None))),
    Wire("data", ((1030, "reader.n"), (None, "attend.s"))),
    Wire("data", ((1030, "d_kv.n"), (None, "reader.s"))),
    Wire("data", ("append.e", (1154, None), (None, "writer.n"))),
    Wire("data", ("writer.s", (None, "d_kv.n"))),
]

# Text beside wires: x, y, anchor, text.
NOTES = [
    (146, 178, "start", "A queue per unit, each"),
    (146, 194, "start", "in order …"),
    (445, 178, "start", "… and counted tokens"),
    (445, 194, "start", "from queue to queue"),
    (160, 614, "start", "weight beats"),
    (673, 614, "start", "fp32"),
    (1022, 614, "end", "keys, values"),
    (1144, 614, "end", "appended"),
    (632, 302, "middle", "int8"),
    (632, 501, "middle", "fp32"),
    (950, 515, "middle", "fp32"),
]


def text_width(text, size):
    """Width of a text in a wide sans serif, near enough."""
    return 0.58 * size * len(text)


def _text(x, y, text, size, colour=INK, anchor="middle", weight=400):
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" '
        f'text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
    )


def _rect(box, radius, fill, stroke, width):
    return (
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.w:g}" height="{box.h:g}" rx="{radius}" '
        f'fill="{fill}" stroke="{stroke}" stroke-width="{width}"/>'
    )


def _frame(box):
    fill, stroke = COLOURS[box.kind]
    yield _rect(box, 12, fill, stroke, 1.2)
    if box.title:
        y = box.y + (24 if box.h > 100 else box.h / 2 + TITLE * 0.36)
        yield _text(box.x + 14, y, box.title, TITLE, stroke, "start", 600)


def _box(box):
    fill, stroke = COLOURS[box.kind]
    yield _rect(box, 7, "#ffffff" if box.kind != "control" else fill, stroke, 1.5)
    middle, step = box.x + box.w / 2, SMALL + 3.5
    y = box.y + box.h / 2 + TITLE * 0.36 - len(box.lines) * step / 2
    yield _text(middle, y, box.title, TITLE, weight=600)
    for n, line in enumerate(box.lines):
        yield _text(middle, y + (n + 1) * step + 1, line, SMALL, SOFT)


def _wire(wire):
    colour, width, dashes = STROKES[wire.kind]
    points = list(wire.coordinates())
    # The line ends within the head, so that its end does not blunt the tip.
    back = HEADS[wire.kind] - 2
    points[-1] = _short(points[-2], points[-1], back)
    if wire.both:
        points[0] = _short(points[1], points[0], back)
    path = "M" + " L".join(f"{x:g} {y:g}" for x, y in points)
    head = f"url(#{wire.kind})"
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    start = f' marker-start="{head}"' if wire.both else ""
    yield (
        f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}" '
        f'stroke-linejoin="round"{dashed}{start} marker-end="{head}"/>'
    )


def _short(a, b, by):
    """b, moved `by` towards a; the two share a coordinate."""
    (ax, ay), (bx, by_) = a, b
    return (bx - by * ((bx > ax) - (bx < ax)), by_ - by * ((by_ > ay) - (by_ < ay)))


def _legend():
    x, y = 44, HEIGHT - 22
    for kind, text in (
        ("weights", "weight stream"),
        ("data", "data"),
        ("control", "instructions and requests"),
    ):
        colour, width, dashes = STROKES[kind]
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        yield (
            f'<path d="M{x} {y} h34" stroke="{colour}" stroke-width="{width}" fill="none"{dashed}/>'
        )
        yield _text(x + 44, y + 4.5, text, SMALL, SOFT, "start")
        x += 74 + round(text_width(text, SMALL))


def svg():
    """Yield the lines of `docs/architecture.svg`."""
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="{FONT}" role="img">'
    )
    yield "<title>Architecture of the Headrace accelerator</title>"
    yield "<defs>"
    for kind, (colour, _, _) in STROKES.items():
        size = HEADS[kind]
        yield (
            f'<marker id="{kind}" viewBox="0 0 {size} {size}" refX="2" refY="{size / 2:g}" '
            f'markerWidth="{size}" markerHeight="{size}" markerUnits="userSpaceOnUse" '
            f'orient="auto-start-reverse">'
            f'<path d="M0 {size * 0.1:g} L{size} {size / 2:g} L0 {size * 0.9:g} z" '
            f'fill="{colour}"/></marker>'
        )
    yield "</defs>"
    yield (
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="14" fill="{PAPER}" '
        f'stroke="#d0d7de"/>'
    )
    for frame in FRAMES.values():
        yield from _frame(frame)
    for kind in ("control", "data", "weights"):
        for wire in WIRES:
            if wire.kind == kind:
                yield from _wire(wire)
    for box in BOXES.values():
        yield from _box(box)
    for x, y, anchor, text in NOTES:
        yield _text(x, y, text, SMALL, SOFT, anchor)
    yield from _legend()
    yield "</svg>"
