"""How fast a controller reads in sequence: `python -m boards.simulated.bandwidth [BOARD]...`.

Only the controller is simulated, with the converter to the accelerator's beats. LiteDRAM's
controllers count when data come, and do not hear it: they come at the right time without any
memory.
"""

import argparse
import subprocess
import sys

from amaranth import *
from amaranth.back import verilog
from amaranth.hdl import IOPort

from boards import board as boards
from boards.dram.controller import DramController
from boards.dram.pads import PADS
from host.errors import run_command
from sim.fpga.build import CACHE, cached, execute
from sim.tools import environment, verilator

from .build import sources


__all__ = ["bytes_per_cycle", "main"]


BEATS = 50_000
BURST = 64
# The FPGA's primitives that a controller for each kind of memory has.
PRIMITIVES = {"sdr": "primitives.v", "ddr3": "ddr3.v"}


class Alone(Elaboratable):
    """A board's controller without anything else: ports `clk`, `memory_…` and `control_…`.

    Its pads are ports as well.
    """

    def __init__(self, board):
        chip = board.dram.chip
        widths = {"dq": 16, "a": chip.row_bits, "ba": chip.bank_bits, "dm": 2, "dqs_p": 2}
        self.pads = {name: IOPort(widths.get(name, 1), name=name) for name in PADS[chip.kind]}
        self.clk = Signal()
        self.controller = DramController(board.config, board.dram, self.pads)
        ports = [name for name in self.controller.signature.members if "_" in name]
        ports = [name for name in ports if name.startswith(("memory_", "control_"))]
        self.ports = [self.clk, *self.pads.values()]
        self.ports += [getattr(self.controller, name) for name in ports]

    def elaborate(self, platform):
        m = Module()
        m.submodules.controller = controller = self.controller
        m.domains.sync = ClockDomain("sync")
        if controller.dram.kind == "ddr3":
            m.d.comb += [
                controller.clk_in.eq(self.clk),
                ClockSignal("sync").eq(controller.user_clk),
                ResetSignal("sync").eq(controller.user_rst),
            ]
        else:
            m.d.comb += ClockSignal("sync").eq(self.clk)
        return m


def bytes_per_cycle(board):
    """Bytes that the controller of a board reads in a cycle, through a port as wide as the
    configuration's beats.
    """
    alone = Alone(board)
    files = {
        "core.v": alone.controller.verilog(),
        "top.v": verilog.convert(alone, name="top", ports=alone.ports, emit_src=False),
    }
    names = PRIMITIVES[board.dram.kind], "bandwidth.cpp"
    files |= dict(zip(names, sources(*names)[1:]))

    def build(folder):
        for name, text in files.items():
            (folder / name).write_text(text)
        execute(
            [
                verilator(),
                "--cc",
                "--exe",
                "--build",
                "--top-module",
                "top",
                "--prefix",
                "Vtop",
                "-O3",
                "--x-assign",
                "fast",
                "-Wno-fatal",
                "-Wno-lint",
                "-Wno-style",
                "-Mdir",
                "obj",
                "-CFLAGS",
                "-O1",
                *files,
            ],
            folder,
        )

    program = cached(CACHE / f"bandwidth-{board.name}", "obj/Vtop", list(files.values()), build)
    beat = board.config.beat_bytes
    done = subprocess.run(
        [program, str(BEATS), str(BURST), str(beat)],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return BEATS * beat / int(done.stdout)


def command(argv):
    parser = argparse.ArgumentParser(
        prog="python -m boards.simulated.bandwidth", description=__doc__.split(":")[0]
    )
    parser.add_argument("boards", nargs="*", metavar="BOARD", default=list(boards.BOARDS))
    for board in list(map(boards.get, parser.parse_args(argv).boards)):
        rate, peak = bytes_per_cycle(board), board.dram.peak / board.clock_mhz / 1e6
        print(
            f"{board.name}: {rate:.2f} bytes a cycle, {100 * rate / peak:.1f} % of the memory's "
            "peak"
        )


def main(argv=None):
    """Run the command, return the exit code."""
    return run_command("bandwidth", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())
