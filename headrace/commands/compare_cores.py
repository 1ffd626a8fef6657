"""`headrace compare-cores`: the linear cores side by side, in one run."""

import json
from statistics import median

from rich.table import Table

from rtl.spec import config as configs

from host import configurations
from ..devices import create
from host.errors import UserError
from host.progress import console, steps
from host.language.sampling import Sampler, Sampling
from host.language.statistics import Statistics
from . import images
from .run import session_of, tokenizer_of


DEFAULT_CONFIG = "small"   # what the FPGA that is routed for has room for
DEFAULT_PROMPT = "The"
WIDTH = 140                # of the table where no terminal says


def register(commands):
    parser = commands.add_parser(
        "compare-cores", help="compare the linear cores: cycles, area, clock",
        description="Run a model on the simulated FPGA with each linear core, at the same peak of "
                    "multiplications per cycle, and synthesize, place and route each: one table.")
    images.add_arguments(parser)
    parser.add_argument("--cores", metavar="NAMES", default=",".join(configs.CORES),
                        help=f"cores, separated by commas (default: {','.join(configs.CORES)})")
    parser.add_argument("--formats", metavar="NAMES",
                        help="weight formats that the cores are built for, separated by commas "
                             "(default: those that the model has)")
    parser.add_argument("--prompt", default=DEFAULT_PROMPT, metavar="TEXT",
                        help=f"(default: {DEFAULT_PROMPT!r})")
    parser.add_argument("--tokens", type=int, default=3, metavar="N", help="tokens to generate (default: 3)")
    parser.add_argument("--no-run", action="store_true", help="leave out the simulated FPGA")
    parser.add_argument("--no-route", action="store_true", help="leave out place and route, which takes minutes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args):
    from boards import synthesis
    chosen = names(args.cores, configs.CORES, "--cores")
    if args.tokens < 1:
        raise UserError(f"--tokens must be at least 1, not {args.tokens}")
    if not args.prompt:
        raise UserError("--prompt must be a text, it is empty")
    known = list(dict.fromkeys(name for core in configs.CORES.values() for name in core))
    formats = None if args.formats is None else names(args.formats, known, "--formats")
    synthesis.check_tools(route=not args.no_route)   # before a simulation is built
    if args.config is None and not images.is_image(args.model):
        args.config = DEFAULT_CONFIG
    if formats is None or not args.no_run:
        image, config = images.obtain(args)
        formats = formats or image.formats
    else:
        image, config = None, configurations.chosen(args, DEFAULT_CONFIG)
    rows = [measure(core, config, None if args.no_run else image, formats, args) for core in chosen]
    if args.json:
        print(json.dumps({"config": config.name, "model": None if args.no_run else image.model["name"],
                          "formats": sorted(formats), "rows": rows}))
    else:
        out = console(stderr=False)
        if not out.is_terminal:
            out.width = WIDTH
        out.print(table([row for row in rows if "lacks" not in row], route=not args.no_route))
        for row in rows:
            if "lacks" in row:
                out.print(f"{row['core']} does not take {', '.join(row['lacks'])}")
    return 0


def names(text, known, option):
    """Names that an option lists."""
    found = [name.strip() for name in text.split(",")]
    for name in found:
        if name not in known:
            raise UserError(f"{option} must be of {', '.join(known)}, not {name!r}")
    return found


def measure(core, base, image, formats, args):
    """A row: figures of a core, by name."""
    from headrace.studies import cores
    config = cores.with_core(base, core, formats)
    row = {"core": core}
    if config is None:
        missing = sorted(set(formats) - set(configs.CORES[core]))
        return row | {"lacks": missing}
    row |= {"formats": list(config.formats), "config": config.name}
    with steps("comparing") as step:
        if image is not None:
            row |= decode(config, image, args, step)
        return row | cores.hardware(config, not args.no_route, step)


def decode(config, image, args, step):
    """Cycles of decode steps on the simulated FPGA."""
    lacking = image.lacks(config)
    if lacking is not None:
        raise UserError(f"--formats: {lacking}")
    ids = tokenizer_of(image).encode(args.prompt)
    session_of(None, image, config).check(ids)
    device = create("sim", config, build_progress=lambda text: step(f"{config.name}: {text}"))
    try:
        device.load(image)
        step(f"{config.name}: running {image.model['name']}")
        session = session_of(device, image, config)
        tokens = list(session.generate(ids, args.tokens, Sampler(Sampling(temperature=0.0))))
    finally:
        device.close()
    figures = Statistics(image, config, tokens).figures
    decoded = [token.cycles for token in tokens if token.fed == 1]
    return {"cycles_per_token": median(decoded) if decoded else None, "utilization": figures["utilization"],
            "token_ids": [token.id for token in tokens]}


COLUMNS = {"LUT": "lut", "FF": "ff", "DSP": "dsp", "BRAM": "bram"}


def table(rows, route):
    """The rows for people: a line for each core and part."""
    out = Table(box=None, pad_edge=False)
    for name in ("core", "", "cycles/token", "utilization", "MACs/cycle"):
        out.add_column(name, justify="left" if name in ("core", "") else "right")
    for family in ("ECP5", "xcup"):
        for name in COLUMNS:
            out.add_column(f"{family}\n{'LUT4' if (family, name) == ('ECP5', 'LUT') else name}", justify="right")
        if family == "ECP5" and route:
            out.add_column("\nMHz", justify="right")
    for row in rows:
        cycles, utilization = row.get("cycles_per_token"), row.get("utilization")
        for part in "core", "pipeline":
            first = part == "core"
            cells = [row["core"] if first else "", part,
                     f"{cycles:,.0f}" if first and cycles else "",
                     f"{100 * utilization:.1f} %" if first and utilization else "",
                     str(row["peak_macs"]) if first else ""]
            ecp5, xcup = row[f"{part}_ecp5"], row.get(f"{part}_xcup")
            cells += [f"{ecp5[name]:,}" for name in COLUMNS.values()]
            if route:
                cells.append("too large" if ecp5["fmax"] is None else f"{ecp5['fmax']:.0f}")
            cells += [f"{xcup[name]:,}" if xcup else "" for name in COLUMNS.values()]
            out.add_row(*cells)
    return out
