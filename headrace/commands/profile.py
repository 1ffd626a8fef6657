"""`headrace profile`: where the cycles of a step go."""

import json
from dataclasses import dataclass

from rich.table import Table

from host.configurations import settings
from host.errors import UserError
from host.files import check_target, replacing
from host.progress import console

from ..devices import check
from ..library.models import check_context
from ..library.over_time import bandwidth, timeline
from ..library.profiling import Profile, Target, check_step, profile
from ..library.roofline import roofline
from ..library.targets import of_model, of_shape
from ..options import ModelOptions, add_model, read


PLACE = 44  # in `headrace --help`
DEFAULT_MODEL = "smollm2"
MEMORY = {
    "data": "moves data",
    "refreshing": "waits for a refresh",
    "opening": "waits for a row",
    "turning": "turns round",
    "spacing": "waits for a group of banks",
    "idle": "nobody asks",
}
MOST_NODES = 24  # that the table has
PICTURE = ".svg"  # how the name of a timeline that is a picture ends
WIDTH = 120  # columns, where nobody says


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace profile` is told."""

    model: ModelOptions
    shape: str | None
    position: int
    columns: int
    layers: int | None
    json: bool
    timeline: str | None
    roofline: str | None
    bandwidth: str | None


def register(commands):
    parser = commands.add_parser(
        "profile",
        help="say where the cycles of a step go",
        description="Run one step on the simulated FPGA, and print its cycles by node and by unit, "
        "what the memory did, and what limits.",
    )
    add_model(parser)
    parser.set_defaults(model=None)  # to tell whether one was named
    parser.add_argument(
        "--shape",
        metavar="FILE",
        help="instead of a model: random weights of a shape in JSON, with family, hidden, heads, "
        "kv_heads, head_dim, ffn, layers, vocab, format and head_format",
    )
    parser.add_argument(
        "--position",
        type=int,
        default=0,
        metavar="N",
        help="position of the token; the KV cache before it is assumed (default: 0)",
    )
    parser.add_argument(
        "--columns",
        type=int,
        default=1,
        metavar="N",
        help="profile a prefill step of N tokens (default: 1, a decode step)",
    )
    parser.add_argument(
        "--layers",
        type=int,
        metavar="N",
        help="run the first N layers, and half of them; figures are of all layers, from the "
        "difference",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--timeline",
        metavar="FILE",
        help="write what the units do, for Perfetto; a picture of one layer, if it ends in .svg",
    )
    parser.add_argument("--roofline", metavar="FILE", help="write a roofline plot, as SVG")
    parser.add_argument(
        "--bandwidth", metavar="FILE", help="write a plot of the bandwidth over time, as SVG"
    )
    parser.set_defaults(run=run)


def run(args):
    if args.shape is not None and args.model is not None:
        raise UserError("--shape: --model must be left out")
    args.model = args.model or DEFAULT_MODEL
    options = read(Options, args)
    check_step(options.position, options.columns, options.layers, "--")
    check("sim", options.timeline, "--")
    for path in (options.roofline, options.bandwidth):
        if path is not None:
            check_target(path)
    drawn = options.timeline is not None and options.timeline.endswith(PICTURE)
    target = target_of(options)
    found = profile(
        target,
        position=options.position,
        columns=options.columns,
        layers=options.layers,
        timeline=None if drawn else options.timeline,
    )
    for path, draw in (
        (options.roofline, roofline),
        (options.bandwidth, bandwidth),
        (options.timeline if drawn else None, timeline),
    ):
        if path is not None:
            with replacing(path) as partial:
                partial.write_text(draw(found, target.name))
    if options.json:
        print(json.dumps(found.figures))
    else:
        show(found, target.name)


def target_of(options: Options) -> Target:
    """What the options name."""
    positions, its = options.position + options.columns, options.model
    check_context(its.context)
    if options.shape is None:
        model, machine = its.load()
        return of_model(model, machine, positions, its.context)
    base = its.machine.machine() if its.machine.given else None
    return of_shape(options.shape, base, settings(its.machine.set), positions, its.context)


def show(found: Profile, name: str) -> None:
    """Print a profile: by node, by unit, what the memory did, and what limits."""
    out = console(stderr=False)
    if not out.is_terminal:
        out.width = WIDTH
    what = "decode step" if found.columns == 1 else f"prefill step of {found.columns} tokens"
    print(f"{name} on {found.config}: a {what} at position {found.position}")
    if found.cuts:
        print(f"(all layers, from the difference of {found.cuts[0]} and {found.cuts[1]})")
    print(
        f"{found.cycles:,} cycles, {found.tokens_per_second:,.1f} tokens/s at "
        f"{found.clock_mhz:g} MHz; the estimate is {found.estimated_cycles:,}"
    )
    print(
        f"{found.bytes_weights:,} bytes of weights and {found.bytes_kv:,} of the KV cache: "
        f"{100 * found.utilization:.1f} % of the memory's peak, which gives "
        f"{100 * found.ceiling:.1f} % to a sequential stream\n"
    )
    out.print(nodes_table(found))
    print()
    out.print(units_table(found))
    print()
    out.print(memory_table(found))
    print(f"\n{found.limit}. {found.why}")


def columns_of(*names: str) -> Table:
    """An empty table, whose first column is text."""
    table = Table(box=None, pad_edge=False)
    for n, name in enumerate(names):
        table.add_column(name, justify="right" if n else "left", no_wrap=True)
    return table


def nodes_table(found: Profile) -> Table:
    """Nodes that most cycles belong to."""
    table = columns_of("Node, all layers", "unit", "cycles", "share", "unit busy", "bytes")
    nodes = sorted(found.nodes, key=lambda node: -node["cycles"])
    shown = [node for node in nodes[:MOST_NODES] if node["cycles"]]
    for node in shown:
        table.add_row(
            node["name"],
            node["unit"],
            f"{node['cycles']:,}",
            f"{100 * node['share']:.1f} %",
            f"{node['busy']:,}",
            f"{node['bytes']:,}",
        )
    rest = sum(node["cycles"] for node in nodes) - sum(node["cycles"] for node in shown)
    if rest:
        table.add_row("others", "", f"{rest:,}", f"{100 * rest / found.cycles:.1f} %", "", "")
    return table


def units_table(found: Profile) -> Table:
    """What units did."""
    table = columns_of("Unit", "busy", "working", "starved", "blocked", "for a token")
    for name, unit in found.units.items():
        kinds = ("busy", "working", "starved", "blocked", "token")
        table.add_row(name, *(f"{unit[kind]:,}" for kind in kinds))
    return table


def memory_table(found: Profile) -> Table:
    """What the memory's clocks went for."""
    table = columns_of("Memory", "clocks", "share")
    for name, words in MEMORY.items():
        clocks = found.dram[name]
        table.add_row(words, f"{clocks:,}", f"{100 * clocks / found.dram['clocks']:.1f} %")
    return table
