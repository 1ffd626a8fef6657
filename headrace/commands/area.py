"""`headrace area`: what a machine takes of an FPGA."""

import json
from dataclasses import asdict, dataclass

from rich.table import Table

from host.progress import console

from ..library.area import area
from ..options import MachineOptions, add_machine, read


PLACE = 90  # in `headrace --help`
DEFAULT_CONFIG = "small"  # what the FPGA that is routed for has room for


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace area` is told."""

    machine: MachineOptions
    parts: tuple[str, ...]
    family: str
    json: bool


def register(commands):
    parser = commands.add_parser(
        "area",
        help="synthesize a machine, or parts of it",
        description="Synthesize an accelerator, or parts of it, and print LUTs, flip-flops, "
        "multiplier blocks and block RAMs. The whole takes minutes.",
    )
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help="parts, such as 'linear pipeline' or attention; a wrong one lists all (default: "
        "whole)",
    )
    add_machine(parser, DEFAULT_CONFIG)
    parser.add_argument(
        "--family", default="ecp5", metavar="NAME", help="FPGAs: ecp5 or xcup (default: ecp5)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args):
    options = read(Options, args)
    config = options.machine.machine(DEFAULT_CONFIG)
    found = area(config, *options.parts, family=options.family)
    if options.json:
        print(
            json.dumps(
                {
                    "config": config.name,
                    "family": options.family,
                    "parts": {name: asdict(of) for name, of in found.items()},
                }
            )
        )
        return
    table = Table(box=None, pad_edge=False)
    table.add_column(f"{config.name}, {options.family}")
    for name in ("LUT", "FF", "DSP", "BRAM"):
        table.add_column(name, justify="right")
    for name, of in found.items():
        table.add_row(name, *(f"{count:,}" for count in (of.lut, of.ff, of.dsp, of.bram)))
    console(stderr=False).print(table)
