"""How fast a controller reads in sequence: `python -m boards.simulated.bandwidth [BOARD]...`.

Only the controller is simulated. LiteDRAM's controllers count when data come, and do not hear it:
they come at the right time without any memory.
"""

import argparse
import subprocess
import sys

from boards import board as boards
from boards.dram.generate import generate
from host.errors import UserError, run_command
from rtl.memory.reader import ID_WIDTH
from sim.fpga.build import CACHE, cached, execute
from sim.tools import environment, verilator

from .build import sources


__all__ = ["bytes_per_cycle", "main"]


BEATS = 50_000
BURST = 64
FILES = "bandwidth.cpp", "ddr3.v"


def bytes_per_cycle(board):
    """Bytes that the controller of a board with a DDR3 memory reads in a cycle, with a port as wide
    as the configuration's beats.
    """
    if board.dram.kind != "ddr3":
        raise UserError(
            f"the bandwidth of {board.name} is measured on the simulated board, see "
            "docs/simulated-board.md"
        )
    controller = generate(board.dram, data_bits=board.config.beat_bits, id_width=ID_WIDTH)

    def build(folder):
        (folder / "core.v").write_text(controller)
        for name, text in zip(FILES, sources(*FILES)[1:]):
            (folder / name).write_text(text)
        execute(
            [
                verilator(),
                "--cc",
                "--exe",
                "--build",
                "--top-module",
                "litedram_core",
                "--prefix",
                "Vcore",
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
                "core.v",
                "ddr3.v",
                "bandwidth.cpp",
            ],
            folder,
        )

    program = cached(
        CACHE / f"bandwidth-{board.name}", "obj/Vcore", [controller, *sources(*FILES)], build
    )
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
    parser.add_argument(
        "boards", nargs="*", metavar="BOARD", default=["ecpix5-85f", "orangecrab-85f"]
    )
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
