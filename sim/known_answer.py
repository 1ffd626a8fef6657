"""A simulation whose answers are known: ``python -m sim.known_answer``.

A Verilator that is too old, or a miscompiled one, computes wrong values without a word. This builds
a few signed, wide and mixed expressions with a memory, and compares a thousand steps with Python.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

from amaranth.back import verilog
from amaranth.hdl import Module, Mux, signed
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from .tools import ToolError, environment, verilator


STEPS = 1000

HARNESS = r"""
#include "Vknown.h"
#include <cinttypes>
#include <cstdio>
int main() {
    Vknown top; uint32_t a; uint32_t b;
    top.rst = 0; top.clk = 0;
    while (std::scanf("%" SCNx32 " %" SCNx32, &a, &b) == 2) {
        top.a = a; top.b = b;
        top.eval(); top.clk = 1; top.eval(); top.clk = 0; top.eval();
        std::printf("%016" PRIx64 "\n", (uint64_t)top.o);
    }
}
"""


class Known(Component):
    """Accumulates what signs, widths and shifts are easily got wrong in."""

    a: In(signed(17))
    b: In(24)
    o: Out(64)

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=64, depth=8, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        wide = self.a * self.b.as_signed() >> self.b[:4]
        m.d.comb += [
            read.addr.eq(self.b[4:7]),
            write.addr.eq(self.b[4:7]),
            write.en.eq(1),
            write.data.eq(read.data + Mux(self.a < self.b.as_signed(), wide, ~wide)),
        ]
        m.d.sync += self.o.eq(write.data ^ self.o.rotate_left(7))
        return m


def expected(stimuli):
    """The same in Python."""
    mask, memory, o = (1 << 64) - 1, [0] * 8, 0
    for a, b in stimuli:
        a, signed_b = a - (a >> 16 << 17), b - (b >> 23 << 24)
        wide, at = a * signed_b >> (b & 15), b >> 4 & 7
        memory[at] = memory[at] + (wide if a < signed_b else ~wide) & mask
        o = memory[at] ^ (o << 7 & mask | o >> 57)
        yield o


def simulate(stimuli):
    """What Verilator makes of it."""
    with tempfile.TemporaryDirectory(prefix="headrace-") as folder:
        folder = Path(folder)
        (folder / "known.v").write_text(verilog.convert(Known(), name="known"))
        (folder / "main.cpp").write_text(HARNESS)
        built = subprocess.run(
            [
                str(verilator()),
                "--cc",
                "--exe",
                "--build",
                "-Wno-fatal",
                "-Wno-lint",
                "-O3",
                "--x-assign",
                "fast",
                "--x-initial",
                "fast",
                "--noassert",
                "--top-module",
                "known",
                "known.v",
                "main.cpp",
            ],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
        )
        if built.returncode:
            raise ToolError("the build failed: " + (built.stderr or built.stdout).strip()[-300:])
        text = "".join(f"{a:x} {b:x}\n" for a, b in stimuli)
        done = subprocess.run(
            [folder / "obj_dir" / "Vknown"], input=text, capture_output=True, text=True, timeout=60
        )
        return [int(line, 16) for line in done.stdout.split()]


def main():
    rng = Random(1)
    stimuli = [(rng.getrandbits(17), rng.getrandbits(24)) for _ in range(STEPS)]
    try:
        seen = simulate(stimuli)
    except (ToolError, OSError, subprocess.TimeoutExpired) as error:
        return " ".join(str(error).split())
    for n, (have, want) in enumerate(zip(seen, expected(stimuli))):
        if have != want:
            return (
                f"step {n} must give {want:#x}, not {have:#x}: this simulator computes wrong values"
            )
    if len(seen) != STEPS:
        return f"{STEPS} steps must give as many answers, not {len(seen)}"
    print(f"{STEPS} steps gave the known answers")


if __name__ == "__main__":
    sys.exit(main())
