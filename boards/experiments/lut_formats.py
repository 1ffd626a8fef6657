"""What formats and tables cost the LUT tensor core on ECP5: ``python -m boards.experiments.lut_formats``.

Counts cells of the core alone, with FIFO, at 128 bits and one column.
docs/rfcs/0003-lut-tensor-core.md has the figures.
"""

import sys

from host.errors import UserError
from rtl.config import get
from rtl.cores.lut import LutCore

from ..synthesis import synthesize, text_of


ALL = ("U1", "U2", "U3", "U4", "S8", "TERNARY")
# Formats that there is hardware for, and activations per table.
CORES = [(ALL, 2), (ALL, 4), (("U4", "S8"), 2), (("U4", "S8"), 4), (("S8", "TERNARY"), 2),
         *[((name,), inputs) for name in ALL for inputs in (2, 4)]]


def main():
    print(f"{'':18}{'tables of':>10}" + "".join(f"{n:>10}" for n in ["LUT4", "CCU2C", "FF", "LUT sites"]))
    for formats, inputs in CORES:
        area = synthesize(text_of(LutCore(get("small-lut"), formats=formats, inputs=inputs)), "ecp5")
        name = "all" if formats == ALL else ", ".join(formats)
        print(f"{name:18}{inputs:10}" + "".join(f"{v:10}" for v in [
            area.cells.get("LUT4", 0), area.cells.get("CCU2C", 0), area.ff, area.lut]), flush=True)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
