"""What formats and tables cost the LUT tensor core on ECP5: ``python -m
headrace.studies.lut_formats``.

Counts cells of the core alone, with its queue, at 128 bits and one column; of the activation buffer
that builds its tables; and of both when the tables are built again for every step instead.
docs/rfcs/0003-lut-tensor-core.md has the figures.
"""

import sys

from boards.synthesis import synthesize, text_of
from host.errors import run_command
from rtl.cores.lut import LutCore
from rtl.cores.tabled import TabledCore
from rtl.linear.activations import ActivationBuffer
from rtl.spec.config import get


ALL = ("U1", "U2", "U3", "U4", "S8", "TERNARY")
# Formats that there is hardware for, and activations per table.
CORES = [
    (ALL, 2),
    (ALL, 4),
    (("U4", "S8"), 2),
    (("U4", "S8"), 4),
    (("S8", "TERNARY"), 2),
    *[((name,), inputs) for name in ALL for inputs in (2, 4)],
]


def designs():
    """Yield every design with its name and the activations per table."""
    config = get("small-lut")
    for formats, inputs in CORES:
        yield (
            "all" if formats == ALL else ", ".join(formats),
            inputs,
            LutCore(config, formats=formats, inputs=inputs),
        )
    for inputs in (2, 4):
        yield "U4, built anew", inputs, TabledCore(LutCore(config, formats=("U4",), inputs=inputs))
    for inputs in (1, 2, 4):
        yield "activation buffer", inputs, ActivationBuffer(config, inputs)


def main():
    print(
        f"{'':18}{'tables of':>10}"
        + "".join(f"{n:>10}" for n in ["LUT4", "CCU2C", "FF", "LUT sites", "BRAM"])
    )
    for name, inputs, design in designs():
        area = synthesize(text_of(design), "ecp5")
        print(
            f"{name:18}{inputs:10}"
            + "".join(
                f"{v:10}"
                for v in [
                    area.cells.get("LUT4", 0),
                    area.cells.get("CCU2C", 0),
                    area.ff,
                    area.lut,
                    area.bram,
                ]
            ),
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(run_command("lut_formats", main))
