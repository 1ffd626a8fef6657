"""Poke at one component from plain Python, by way of pyverilator: for a look, not for regressions.

>>> dut = build(FpMul())
>>> dut["en"] = 1
>>> dut["a"], dut["b"] = 0x40000000, 0x40400000    # 2.0 and 3.0
>>> dut.tick(FpMul.LATENCY)
>>> hex(dut["o"])                                  # 6.0

It has no loop over cycles of its own, and is a hundred times slower than the simulated FPGA.
"""

import hashlib
import os
from contextlib import contextmanager

from amaranth.back import verilog
from amaranth.lib.wiring import In

from ..tools import ROOT, ToolError, environment, verilator


__all__ = ["Unit", "build"]


class Unit:
    """A simulated component.

    Ports are items, under their Amaranth paths ("o.payload"). Values of ports with data layouts are
    integers, or what :func:`sim.harness.bench.to_bits` takes; they are read as
    :func:`sim.harness.bench.from_bits` gives them.
    """

    def __init__(self, simulation, component):
        self._simulation = simulation
        self._shapes, self._inputs = {}, set()
        for path, member, _ in component.signature.flatten(component):
            name = ".".join(map(str, path))
            self._shapes[name] = member.shape
            if member.flow == In:
                self._inputs.add(name)
        self.cycles = 0
        for name in self._inputs:
            self._simulation.io[self._verilog(name)] = 0
        if "clk" in self._simulation.io:
            self._simulation.io["rst"] = 1
            self.tick()
            self._simulation.io["rst"] = 0
            self.cycles = 0

    @staticmethod
    def _verilog(name):
        return name.replace(".", "__")

    def _shape(self, name):
        if name not in self._shapes:
            raise KeyError(f"Port must be one of {', '.join(sorted(self._shapes))}, not {name!r}")
        return self._shapes[name]

    def __getitem__(self, name):
        from .bench import from_bits

        return from_bits(self._shape(name), int(self._simulation.io[self._verilog(name)]))

    def __setitem__(self, name, value):
        from .bench import to_bits

        if name not in self._inputs:
            raise KeyError(f"Input must be one of {', '.join(sorted(self._inputs))}, not {name!r}")
        self._simulation.io[self._verilog(name)] = to_bits(self._shape(name), value)

    def tick(self, count=1):
        """Go through `count` clock cycles."""
        for _ in range(count):
            self._simulation.io["clk"] = 1
            self._simulation.io["clk"] = 0
            self.cycles += 1


@contextmanager
def _surroundings(folder):
    # pyverilator finds Verilator on PATH, and writes its messages to where it is.
    saved, here = dict(os.environ), os.getcwd()
    os.environ.update(environment())
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(saved)


def build(component, name="unit"):
    """Simulate a component. Returns a :class:`Unit`, out of reset, with all inputs zero."""
    try:
        from pyverilator import PyVerilator
    except ImportError:
        raise ToolError(
            "pyverilator must be installed: run `make install FOR=test`, or "
            "pip install pyverilator-mm==0.7.6"
        ) from None
    text = verilog.convert(component, name=name, strip_internal_attrs=True)
    digest = hashlib.sha256(f"{verilator().stat().st_mtime_ns}{text}".encode()).hexdigest()[:16]
    # A loaded library cannot be replaced in this process: each text has a folder of its own.
    folder = ROOT / "build" / "pyverilator" / f"{name}-{digest}"
    library = folder / "obj" / f"V{name}"
    folder.mkdir(parents=True, exist_ok=True)
    with _surroundings(folder):
        if library.exists():
            return Unit(PyVerilator(str(library)), component)
        (folder / f"{name}.v").write_text(text)
        # Its own -std=c++11 comes first, and the last one counts: Verilator needs 17.
        return Unit(
            PyVerilator.build(f"{name}.v", build_dir="obj", cargs="-std=c++17", quiet=True),
            component,
        )
