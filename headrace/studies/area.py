"""What components take of an FPGA: `python -m headrace.studies.area [--config NAME] [PART ...]`."""

import argparse
import sys

from host.errors import UserError, run_command
from rtl.attention.output import AttentionOutput
from rtl.fp.add import FpAdd
from rtl.fp.from_int import IntToFp
from rtl.fp.mul import FpMul
from rtl.top import Accelerator
from rtl.vector.lane import Lane
from rtl.vector.quantizer import Quantizer

from ..options import MachineOptions, add_machine, read
from .document import table
from .small.parts import PARTS
from boards.synthesis import FAMILIES, synthesize, text_of


__all__ = ["COMPONENTS", "main"]


DEFAULT_CONFIG = "small"
# The machine's parts, and what the vector unit and others are made of, by name: what makes each.
COMPONENTS = {
    "multiplier": lambda config: FpMul(),
    "adder": lambda config: FpAdd(),
    "lane": lambda config: Lane(),
    "conversion": lambda config: IntToFp(40),
    "quantizer": Quantizer,
    "attention output": AttentionOutput,
    **PARTS,
    "whole": Accelerator,
}


def command(argv):
    """Print LUTs, flip-flops, multiplier blocks and block RAMs of components, a line each."""
    parser = argparse.ArgumentParser(prog="python -m headrace.studies.area", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART",
                        help=f"(default: all) {'; '.join(COMPONENTS)}")
    add_machine(parser, DEFAULT_CONFIG)
    parser.add_argument("--family", default="ecp5", choices=FAMILIES, help="default: ecp5")
    args = parser.parse_args(argv)
    config = read(MachineOptions, args).machine(DEFAULT_CONFIG)
    for name in args.parts:
        if name not in COMPONENTS:
            raise UserError(f"PART must be one of {'; '.join(COMPONENTS)}, not {name!r}")
    rows = []
    for name in args.parts or COMPONENTS:
        area = synthesize(text_of(COMPONENTS[name](config)), args.family)
        rows.append([name, area.lut, area.ff, area.dsp, area.bram])
    head = [f"`{config.name}`, {args.family}", "LUT", "FF", "DSP", "BRAM"]
    print("\n".join(table(head, rows)))


def main(argv=None):
    """Run the command, return the exit code."""
    return run_command("area", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())
