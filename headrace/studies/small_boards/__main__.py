"""What the smallest machine takes of a small FPGA: `python -m headrace.studies.small_boards`, into
docs/small-boards.md.

Takes an hour on two CPU cores; what is in `build/synthesis` already is not measured again.
"""

import argparse
import sys
from pathlib import Path

from boards.synthesis import text_of
from host.errors import run_command
from host.files import replacing
from host.progress import steps
from rtl.spec.config import get
from rtl.top import Accelerator

from ..document import rewrite, table
from .flows import DEVICES, map_cells, route
from .folded import Folded
from .parts import PARTS, TIMES, WITHIN, link, smallest


__all__ = ["main", "parts_block", "whole_block", "routed_block"]


PAGE = Path(__file__).resolve().parents[3] / "docs" / "small-boards.md"
KINDS = ("lut", "ff", "dsp", "bram")
CORES = ("lut", "systolic", "dspchain")
# What nextpnr counts besides: pins, constants, and what comes with LUTs.
FREE = ("SB_GB", "SB_IO", "IOB", "GSR", "VCC", "GND", "MUX2_LUT", "DUMMY_CELL", "PINCFG")


def row(name, area, times=1):
    return [name, *(f"{times * getattr(area, kind):,g}" for kind in KINDS)]


def parts_block(device, areas):
    """Yield the lines on the parts of the smallest machine.

    Parameters
    ----------
    device : :class:`str`
    areas : :class:`dict`
        :class:`~.flows.Small` by part, and for the linear core alone by (part, core).
    """
    about, rows = DEVICES[device], []
    total = dict.fromkeys(KINDS, 0)
    for name in PARTS:
        area, times = areas[name], TIMES.get(name, 1)
        if area.problem is not None:
            rows.append([name, area.problem, *[""] * (len(KINDS) - 1)])
            continue
        rows.append(row(name if times == 1 else f"{times} queues", area, times))
        if name in WITHIN:
            rows[-1][0] = f"({name}, within the {WITHIN[name]})"
            continue
        for kind in KINDS:
            total[kind] += times * getattr(area, kind)
    rows.append(["**sum**", *(f"**{total[kind]:,g}**" for kind in KINDS)])
    rows.append([about.title, *(f"{about.capacity[kind]:,g}" for kind in KINDS)])
    rows.append(
        ["times too much", *(f"{total[kind] / about.capacity[kind]:.1f}" for kind in KINDS)]
    )
    yield from table(["Part", "LUT4", "FF", "DSP", "block RAM"], rows)
    yield ""
    yield "The linear core alone, by kind:"
    yield ""
    yield from table(
        ["Core", "LUT4", "FF", "DSP", "block RAM"],
        [row(core, areas["linear core", core]) for core in CORES],
    )


def whole_block(areas):
    """Yield the lines on whole accelerators on Gowin FPGAs: :class:`~.flows.Small` by name."""
    rows = [
        row(name, area) if area.problem is None else [name, area.problem, *[""] * (len(KINDS) - 1)]
        for name, area in areas.items()
    ]
    for title, capacity in GOWIN.items():
        rows.append([title, *(f"{capacity[kind]:,}" for kind in KINDS)])
    yield from table(
        ["Accelerator", "LUT4", "FF", "18-bit multipliers", "block RAM of 18 Kbit"], rows
    )


def routed_block(results):
    """Yield the lines on what was routed: (device, what) and its :class:`~.flows.Routed`."""
    rows = []
    for device, what, routed in results:
        if routed.fmax is None:
            rows.append([DEVICES[device].title, what, "", routed.problem, ""])
        else:
            used = ", ".join(
                f"{used:,} of {there:,} {kind}"
                for kind, (used, there) in sorted(routed.used.items())
                if not kind.startswith(FREE)
            )
            packed = (
                routed.problem
                if routed.bitstream is None
                else f"{routed.bitstream / 1024:,.0f} KiB"
            )
            rows.append([DEVICES[device].title, what, f"{routed.fmax:.1f}", used, packed])
    yield from table(["FPGA", "Design", "MHz", "Used", "Bitstream"], rows, left=2)


def measure(step):
    """Map all parts; returns areas as :func:`parts_block` takes them."""
    areas = {}
    for name, make in PARTS.items():
        step(f"synthesis of {name}")
        areas[name] = map_cells(text_of(make(smallest())), "up5k")
    for core in CORES:
        step(f"synthesis of the core {core}")
        areas["linear core", core] = map_cells(
            text_of(PARTS["linear core"](smallest(core))), "up5k"
        )
    return areas


def command(argv):
    parser = argparse.ArgumentParser(
        prog="python -m headrace.studies.small_boards", description=__doc__
    )
    parser.parse_args(argv)
    with steps("measuring") as step:
        areas, results, whole = measure(step), [], {}
        for name, component in WHOLE.items():
            step(f"synthesis of the accelerator, {name}, for gw2a")
            whole[name] = map_cells(text_of(component()), "gw2a")
        for device, what, component in ROUTED:
            step(f"routing the {what} for {device}")
            results.append((device, what, route(text_of(Folded(component())), device)))
    with replacing(PAGE) as path:
        path.write_text(
            rewrite(
                PAGE.read_text(),
                {
                    "parts": parts_block("up5k", areas),
                    "whole": whole_block(whole),
                    "routed": routed_block(results),
                },
            )
        )
    print(f"wrote {PAGE.name}")


def main(argv=None):
    """Run the command, return the exit code."""
    return run_command("small", lambda: command(argv))


GOWIN = {
    **{DEVICES[name].title: DEVICES[name].capacity for name in ("gw2a", "gw5a")},
    # The part of the Tang Mega 138K.
    "Gowin GW5AST-138 (Tang Mega 138K)": {"lut": 138_240, "ff": 138_240, "dsp": 298, "bram": 340},
}
WHOLE = {"smallest": lambda: Accelerator(smallest()), "`small`": lambda: Accelerator(get("small"))}
ROUTED = [
    ("up5k", "link", lambda: link(smallest())),
    ("gw2a", "link", lambda: link(get("small"))),
    ("gw5a", "link", lambda: link(get("small"))),
    ("gw2a", "linear core of `small`", lambda: PARTS["linear core"](get("small"))),
]


if __name__ == "__main__":
    sys.exit(main())
