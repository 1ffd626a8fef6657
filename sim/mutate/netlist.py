"""Draw mutants from a component's netlist, and build all of them into one that selects.

yosys' pass `mutate` changes a bit of a cell's port: inverts it, sticks it at 0 or 1, or makes it
depend on another bit of the port (`cnot`). Each change takes effect when the netlist's signal
`mutsel` has the mutant's number, from 1 on; 0 is the good design. So one build has all mutants.
"""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random

from amaranth.back import rtlil

from host.errors import UserError

from ..tools import ROOT, execute, yosys


__all__ = ["Mutant", "SELECT", "VARIABLE", "draw", "insert", "netlist", "run_yosys", "simulated"]


SELECT = "mutsel"
VARIABLE = "HEADRACE_MUTANT"  # environment variable that chooses the mutant of a simulation
CLOCKS = {"CLK", "RD_CLK", "WR_CLK", "clk"}


@dataclass(frozen=True)
class Mutant:
    """One changed bit of a netlist.

    Parameters
    ----------
    mode : :class:`str`
        `inv`, `const0`, `const1`, `cnot0` or `cnot1`: inverted when bit `control` is 0 or 1.
    module, cell, port : :class:`str`
        Where; names of the netlist.
    bit, control : :class:`int`
        Bits of the port; `control` is -1 for modes without.
    source : :class:`str`
        File and line of what the cell was made of.
    """

    mode: str
    module: str
    cell: str
    port: str
    bit: int
    control: int
    source: str

    @classmethod
    def parse(cls, line):
        """A line of what yosys' `mutate -list` writes."""
        options = re.findall(r"-(\w+) (\S+)", line)
        of = dict(options)
        sources = [value for name, value in options if name == "src"]
        # The last is the cell's, the others are of wires at it. One file and line of several.
        source = sources[-1].split("|")[0].removeprefix(f"{ROOT}/") if sources else "?"
        return cls(
            of["mode"],
            of["module"],
            of["cell"],
            of["port"],
            int(of["portbit"]),
            int(of.get("ctrlbit", -1)),
            source,
        )

    def command(self, number, width):
        """The pass that inserts it as mutant `number`, with `mutsel` of so many bits."""
        control = f" -ctrlbit {self.control}" if self.control >= 0 else ""
        return (
            f"mutate -mode {self.mode} -ctrl {SELECT} {width} {number} -module {self.module} "
            f"-cell {self.cell} -port {self.port} -portbit {self.bit}{control}"
        )

    def __str__(self):
        control = f" by bit {self.control}" if self.control >= 0 else ""
        return (
            f"{self.source} ({self.module} {self.cell}): {self.mode} of {self.port}[{self.bit}]"
            f"{control}"
        )


def run_yosys(commands, files, results, limit=None):
    """Run yosys' commands in a folder with `files`, a mapping from names to texts.

    Returns the texts of the files `results`; None when it took more than `limit` seconds. Raises
    :exc:`UserError` when it fails.
    """
    with tempfile.TemporaryDirectory(prefix="mutate.") as folder:
        folder = Path(folder)
        for name, text in files.items():
            (folder / name).write_text(text)
        (folder / "script.ys").write_text("\n".join(commands) + "\n")
        code, said = execute([yosys(), "-q", "script.ys"], folder, limit)
        if code is None:
            return None
        if code:
            raise UserError(f"yosys failed with exit code {code}: {' '.join(said[-2:])}")
        return [(folder / name).read_text() for name in results]


def netlist(component, name):
    """A component's cells as RTLIL, with the source of each; `name` becomes the top module's."""
    text = rtlil.convert(component, name=name, emit_src=True)
    return run_yosys(
        [
            "read_rtlil design.il",
            "proc -noopt",
            "memory_collect",
            "opt_clean",
            "write_rtlil base.il",
        ],
        {"design.il": text},
        ["base.il"],
    )[0]


def draw(text, wanted, seed):
    """Draw mutants of the cells of a :func:`netlist` that were made of lines of some files.

    yosys spreads them over modules, wires, cells and source lines. Clocks are left alone: no bug
    in the source makes one. Returns a list of :class:`Mutant`.

    Parameters
    ----------
    wanted : list of (tuple of :class:`str`, :class:`int`)
        Files, as names in `rtl` without `.py`, and how many mutants of each such group; there are
        fewer where its netlist has no more.
    """
    commands = ["read_rtlil base.il"]
    for n, (files, count) in enumerate(wanted):
        # More than are needed: some are of clocks.
        selection = " ".join(f"a:src=*/rtl/{name}.py:*" for name in files)
        commands.append(f"mutate -list {2 * count + 10} -seed {seed} -o list{n}.txt {selection}")
    listed = run_yosys(commands, {"base.il": text}, [f"list{n}.txt" for n in range(len(wanted))])
    drawn = []
    for lines, (_, count) in zip(listed, wanted):
        found = [
            m for m in dict.fromkeys(map(Mutant.parse, lines.splitlines())) if m.port not in CLOCKS
        ]
        drawn += Random(f"{seed}").sample(found, min(count, len(found)))
    return drawn


def insert(text, name, mutants):
    """Put mutants into a :func:`netlist`: RTLIL whose top module has an input `mutsel`."""
    width = len(mutants).bit_length()
    commands = [mutant.command(n, width) for n, mutant in enumerate(mutants, 1)]
    return run_yosys(
        ["read_rtlil base.il", *commands, "write_rtlil mutated.il"],
        {"base.il": text},
        ["mutated.il"],
    )[0]


def simulated(text, name):
    """Verilog of what :func:`insert` made, whose mutant an environment variable chooses."""
    (verilog,) = run_yosys(
        ["read_rtlil mutated.il", f"delete -port {name}/w:{SELECT}", "write_verilog -noattr out.v"],
        {"mutated.il": text},
        ["out.v"],
    )
    # Verilator's own: neither ports nor arguments of the simulation have to know of mutants.
    declared = re.compile(rf"^  wire (\[\d+:0\] )?{SELECT};$", re.M)
    choose = (
        f'initial {SELECT} = $c("(getenv(\\"{VARIABLE}\\") ? atoi(getenv(\\"{VARIABLE}\\")) : 0)");'
    )
    at = (
        verilog.index(f"\nmodule {name}(")
        if f"\nmodule {name}(" in verilog
        else verilog.index(f"\nmodule {name} (")
    )
    head, top = verilog[:at], verilog[at:]
    top, done = declared.subn(lambda m: f"  reg {m[1] or ''}{SELECT};\n  {choose}", top, count=1)
    if not done:
        raise UserError(f"{name}: its netlist has no {SELECT}")
    return head + top
