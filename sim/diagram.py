"""Block diagram of the accelerator: boxes and wires as data, drawn as plain SVG."""

from dataclasses import dataclass
from xml.sax.saxutils import escape


__all__ = ["WIDTH", "HEIGHT", "FRAMES", "BOXES", "WIRES", "NOTES", "text_width", "svg"]


WIDTH, HEIGHT = 1200, 862
TITLE, SMALL = 15, 12.5          # font sizes
FONT = "Inter, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"

INK, SOFT, PAPER = "#1f2937", "#4b5563", "#fcfcfd"  # a light card, in dark mode too
COLOURS = {                     # fill and outline
    "control":   ("#eef2f7", "#64748b"),
    "linear":    ("#fdf1dc", "#c27803"),
    "vector":    ("#e4f5ea", "#2f8f57"),
    "attention": ("#f1eafd", "#7c57c9"),
    "memory":    ("#e3f0fb", "#2671b8"),
    "outside":   ("#ffffff", "#64748b"),
}
STROKES = {                     # colour, width, dashes
    "data":    ("#334155", 1.8, ""),
    "weights": ("#2671b8", 5.0, ""),
    "control": ("#8492a6", 1.5, "5 4"),
}


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
        return {"n": (x, self.y), "s": (x, self.y + self.h),
                "w": (self.x, y), "e": (self.x + self.w, y)}[side[0]]


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
    return BOXES[name].edge(side)


FRAMES = {
    "queues":    Box(24, 150, 1152, 84, "control", "Queues, each in order; they hand each other tokens"),
    "linear":    Box(168, 264, 432, 334, "linear", "Linear unit"),
    "vector":    Box(726, 264, 208, 334, "vector", "Vector unit"),
    "attention": Box(974, 264, 202, 334, "attention", "Attention unit"),
    "dram":      Box(24, 728, 1152, 84, "memory", "DRAM: one program image, and the KV cache"),
}

BOXES = {
    "host":      Box(44, 52, 120, 58, "outside", "Host", ("AXI4-Lite",)),
    "registers": Box(220, 52, 210, 58, "control", "Control, registers", ("start, tokens, best, faults",)),
    "fetch":     Box(486, 52, 160, 58, "control", "Fetch", ("program memory",)),
    "sequencer": Box(702, 52, 232, 58, "control", "Sequencer", ("loops, registers, addresses",)),

    "q_stream":    Box(36, 186, 96, 34, "outside", "STREAM"),
    "q_linear":    Box(330, 186, 108, 34, "outside", "LINEAR"),
    "q_load":      Box(618, 186, 92, 34, "outside", "LOAD"),
    "q_vector":    Box(776, 186, 108, 34, "outside", "VECTOR"),
    "q_attention": Box(1015, 186, 120, 34, "outside", "ATTENTION"),

    "stream": Box(36, 298, 96, 58, "memory", "Stream", ("prefetch",)),
    "load":   Box(618, 530, 92, 52, "memory", "Load", ("tables",)),

    "acts":    Box(319, 298, 130, 58, "linear", "Activations", ("int8, 32 a group",)),
    "unpack":  Box(184, 394, 106, 74, "linear", "Unpack", ("codes, scales,", "centres")),
    "core":    Box(319, 394, 130, 74, "linear", "Systolic core", ("N × 32 × M cells", "exact sums")),
    "groups":  Box(478, 394, 106, 74, "linear", "Group scale", ("exact, 52 bits",)),
    "embed":   Box(184, 506, 106, 58, "linear", "Embed", ("one row",)),
    "best":    Box(319, 506, 130, 58, "linear", "Best logits", ("64 best, sorted",)),
    "rows":    Box(478, 506, 106, 58, "linear", "Row scale", ("to fp32",)),

    "quant":  Box(742, 298, 176, 58, "vector", "Quantizer", ("power-of-two scales",)),
    "lanes":  Box(742, 394, 132, 74, "vector", "fp32 lanes", ("a·b + c, dot,", "seeds, clamp")),
    "vmem":   Box(742, 506, 176, 76, "vector", "Vector memory", ("fp32 words,", "one write, three reads")),

    "append":  Box(990, 298, 142, 58, "attention", "Append", ("int8 K and V",)),
    "queries": Box(990, 394, 142, 58, "attention", "Queries", ("int16",)),
    "attend":  Box(990, 490, 142, 92, "attention", "Attend", ("one pass: scores,", "2^x, running", "maxima, all integer")),

    "reader": Box(24, 640, 1044, 52, "memory", "Memory reader", ("AXI4 bursts; a FIFO each for weights, tables, KV and program",)),
    "writer": Box(1092, 640, 84, 52, "memory", "Writer", ("AXI4",)),

    "d_program": Box(36, 764, 96, 36, "outside", "program"),
    "d_weights": Box(144, 764, 440, 36, "outside", "weights: layers, LM head and embedding"),
    "d_tables":  Box(596, 764, 176, 36, "outside", "norm gains, RoPE"),
    "d_kv":      Box(784, 764, 380, 36, "outside", "KV cache: blocks of 32 positions"),
}

BUS = 130  # where instructions fan out to the queues
WIRES = [
    Wire("control", ("host.e", "registers.w"), both=True),
    Wire("control", ("registers.e", "fetch.w")),
    Wire("control", ("fetch.e", "sequencer.w")),
    *[Wire("control", ("sequencer.s", (None, BUS), (f"{q}.n", None), f"{q}.n"))
      for q in ("q_stream", "q_linear", "q_load", "q_vector", "q_attention")],
    Wire("control", ("q_stream.s", "stream.n")),
    Wire("control", ("q_linear.s", (None, 264))),
    Wire("control", ("q_load.s", "load.n")),
    Wire("control", ("q_vector.s", (None, 264))),
    Wire("control", ("q_attention.s", (None, 264))),
    Wire("control", ("stream.s", (None, "reader.n"))),
    Wire("control", ("d_program.n", (None, "reader.s"))),
    Wire("control", ("reader.w", (10, None), (None, 22), ("fetch.n", None), "fetch.n")),

    Wire("weights", ("d_weights.n", (None, "reader.s"))),
    Wire("weights", ((150, 640), (None, "unpack.w"), "unpack.w")),
    Wire("weights", ("unpack.e", "core.w")),
    Wire("data", ("acts.s", "core.n")),
    Wire("data", ("core.e", "groups.w")),
    Wire("data", ("groups.s", "rows.n")),
    Wire("data", ("rows.w", "best.e")),
    Wire("data", ("unpack.s", "embed.n")),
    Wire("data", ("embed.s", (None, 582), ("rows.s", None), "rows.s")),
    Wire("data", ("rows.e", (742, None))),

    Wire("data", ("d_tables.n", (None, "reader.s"))),
    Wire("data", (("load.s", 640), "load.s")),
    Wire("data", ("load.e", (742, None))),

    Wire("data", (("lanes.s30", "vmem.n"), "lanes.s30")),
    Wire("data", ("lanes.s70", (None, "vmem.n"))),
    Wire("data", ((898, 506), (None, "quant.s"))),
    Wire("data", ("quant.w", "acts.e")),

    Wire("data", ("quant.e", "append.w")),
    Wire("data", ("quant.e", (954, None), (None, "queries.w"), "queries.w")),
    Wire("data", ("queries.s", "attend.n")),
    Wire("data", ("attend.w", (918, None))),
    Wire("data", ((1030, 640), (None, "attend.s"))),
    Wire("data", ((1030, 764), (None, "reader.s"))),
    Wire("data", ("append.e", (1152, None), (None, "writer.n"))),
    Wire("data", ("writer.s", (None, "d_kv.n"))),
]

# Text beside wires: x, y, anchor, text.
NOTES = [
    (160, 626, "start", "weight beats"),
    (672, 616, "start", "tables"),
    (1022, 626, "end", "keys, values"),
    (663, 321, "middle", "int8"),
    (663, 529, "middle", "fp32"),
    (502, 124, "start", ""),
]


def text_width(text, size):
    """Width of a text in a wide sans serif: an upper bound for those in :data:`FONT`."""
    return 0.62 * size * len(text)


def _text(x, y, text, size, colour=INK, anchor="middle", weight=400):
    return (f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" '
            f'text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>')


def _rect(box, radius, fill, stroke, width):
    return (f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.w:g}" height="{box.h:g}" rx="{radius}" '
            f'fill="{fill}" stroke="{stroke}" stroke-width="{width}"/>')


def _frame(box):
    fill, stroke = COLOURS[box.kind]
    yield _rect(box, 12, fill, stroke, 1.2)
    yield _text(box.x + 14, box.y + 23, box.title, TITLE, stroke, "start", 600)


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
    path = "M" + " L".join(f"{x:g} {y:g}" for x, y in points)
    head = f"url(#{wire.kind})"
    # A halo keeps crossing wires apart.
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    start = f' marker-start="{head}"' if wire.both else ""
    yield (f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}" '
           f'stroke-linejoin="round"{dashed}{start} marker-end="{head}"/>')


def _legend():
    x, y = 44, HEIGHT - 22
    for kind, text in (("weights", "weight stream"), ("data", "data"),
                       ("control", "instructions and requests")):
        colour, width, dashes = STROKES[kind]
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        yield (f'<path d="M{x} {y} h34" stroke="{colour}" stroke-width="{width}" '
               f'fill="none"{dashed}/>')
        yield _text(x + 44, y + 4.5, text, SMALL, SOFT, "start")
        x += 74 + round(text_width(text, SMALL))


def svg():
    """Yield the lines of `docs/architecture.svg`."""
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           f'width="{WIDTH}" height="{HEIGHT}" font-family="{FONT}" role="img">')
    yield "<title>Architecture of the Headrace accelerator</title>"
    yield "<defs>"
    for kind, (colour, width, _) in STROKES.items():
        size = 9 if width < 3 else 15
        yield (f'<marker id="{kind}" viewBox="0 0 10 10" refX="10" refY="5" markerWidth="{size}" '
               f'markerHeight="{size}" markerUnits="userSpaceOnUse" orient="auto-start-reverse">'
               f'<path d="M0 0.8 L10 5 L0 9.2 z" fill="{colour}"/></marker>')
    yield "</defs>"
    yield (f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="14" fill="{PAPER}" '
           f'stroke="#d0d7de"/>')
    for frame in FRAMES.values():
        yield from _frame(frame)
    for kind in ("control", "data", "weights"):
        for wire in WIRES:
            if wire.kind == kind:
                yield from _wire(wire)
    for box in BOXES.values():
        yield from _box(box)
    for x, y, anchor, text in NOTES:
        if text:
            yield _text(x, y, text, SMALL, SOFT, anchor)
    yield from _legend()
    yield "</svg>"
