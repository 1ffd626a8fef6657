"""`headrace compare-cores`: the linear cores side by side, in one run."""

import json
from dataclasses import dataclass

from rich.table import Table

from host.errors import UserError
from host.progress import console
from rtl.spec.config import CORES

from ..library.cores import Work, measure
from ..library.runner import check_tokens
from ..options import ModelOptions, add_model, read


PLACE = 80  # in `headrace --help`
DEFAULT_CONFIG = "small"  # what the FPGA that is routed for has room for
DEFAULT_PROMPT = "The"
WIDTH = 140  # of the table where no terminal says


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace compare-cores` is told."""

    model: ModelOptions
    cores: str
    formats: str | None
    prompt: str
    tokens: int
    no_run: bool
    no_route: bool
    json: bool


def register(commands):
    parser = commands.add_parser(
        "compare-cores",
        help="compare the linear cores: cycles, area, clock",
        description="Run a model on the simulated FPGA with each linear core, behind the same "
        "memory, and synthesize, place and route each: one table.",
    )
    add_model(parser)
    parser.add_argument(
        "--cores",
        metavar="NAMES",
        default=",".join(CORES),
        help=f"cores, separated by commas (default: {','.join(CORES)})",
    )
    parser.add_argument(
        "--formats",
        metavar="NAMES",
        help="weight formats that the cores are built for, separated by commas "
        "(default: those that the model has)",
    )
    parser.add_argument(
        "--prompt", default=DEFAULT_PROMPT, metavar="TEXT", help=f"(default: {DEFAULT_PROMPT!r})"
    )
    parser.add_argument(
        "--tokens", type=int, default=3, metavar="N", help="tokens to generate (default: 3)"
    )
    parser.add_argument("--no-run", action="store_true", help="leave out the simulated FPGA")
    parser.add_argument(
        "--no-route", action="store_true", help="leave out place and route, which takes minutes"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args):
    from boards import synthesis

    options = read(Options, args)
    chosen = names(options.cores, CORES, "--cores")
    check_tokens(options.tokens, "--tokens")
    if not options.prompt:
        raise UserError("--prompt must be a text, it is empty")
    known = list(dict.fromkeys(name for core in CORES.values() for name in core))
    formats = None if options.formats is None else names(options.formats, known, "--formats")
    synthesis.check_tools(route=not options.no_route)  # before a simulation is built
    image, config = None, None
    if formats is None or not options.no_run:
        model, config = options.model.load(DEFAULT_CONFIG)
        image = model.image(config, context=options.model.context)
        formats = formats or image.formats
    else:
        config = options.model.machine.machine(DEFAULT_CONFIG)
    work = None
    if image is not None and not options.no_run:
        work = Work(image=image, prompt=options.prompt, tokens=options.tokens)
    rows = [measure(core, config, work, formats, not options.no_route) for core in chosen]
    if options.json:
        print(
            json.dumps(
                {
                    "config": config.name,
                    "model": work and work.image.model["name"],
                    "formats": sorted(formats),
                    "rows": rows,
                }
            )
        )
    else:
        show(rows, not options.no_route)
    return 0


def show(rows: list[dict], route: bool) -> None:
    """Print the rows for people."""
    out = console(stderr=False)
    if not out.is_terminal:
        out.width = WIDTH
    out.print(table([row for row in rows if "lacks" not in row], route=route))
    for row in rows:
        if "lacks" in row:
            out.print(f"{row['core']} does not take {', '.join(row['lacks'])}")


def names(text, known, option):
    """Names that an option lists."""
    found = [name.strip() for name in text.split(",")]
    for name in found:
        if name not in known:
            raise UserError(f"{option} must be of {', '.join(known)}, not {name!r}")
    return found


COLUMNS = {"LUT": "lut", "FF": "ff", "DSP": "dsp", "BRAM": "bram"}


def table(rows, route):
    """The rows for people: a line for each core and part."""
    out = Table(box=None, pad_edge=False)
    for name in ("core", "", "cycles/token", "utilization", "MACs/cycle"):
        out.add_column(name, justify="left" if name in ("core", "") else "right")
    for family in ("ECP5", "xcup"):
        for name in COLUMNS:
            out.add_column(
                f"{family}\n{'LUT4' if (family, name) == ('ECP5', 'LUT') else name}",
                justify="right",
            )
        if family == "ECP5" and route:
            out.add_column("\nMHz", justify="right")
    for row in rows:
        cycles, utilization = row.get("cycles_per_token"), row.get("utilization")
        for part in "core", "pipeline":
            first = part == "core"
            cells = [
                row["core"] if first else "",
                part,
                f"{cycles:,.0f}" if first and cycles else "",
                f"{100 * utilization:.1f} %" if first and utilization else "",
                str(row["peak_macs"]) if first else "",
            ]
            ecp5, xcup = row[f"{part}_ecp5"], row.get(f"{part}_xcup")
            cells += [f"{ecp5[name]:,}" for name in COLUMNS.values()]
            if route:
                cells.append("too large" if ecp5["fmax"] is None else f"{ecp5['fmax']:.0f}")
            cells += [f"{xcup[name]:,}" if xcup else "" for name in COLUMNS.values()]
            out.add_row(*cells)
    return out
