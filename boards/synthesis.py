"""Synthesis, placement and routing: how large a design is, and how fast its clock may be.

yosys maps a design to the cells of a family of FPGAs; nextpnr places and routes it on a Lattice
ECP5 with 84 k LUTs. Both come as wheels, the same program everywhere, so figures can be compared
between machines. A bitstream's script is Amaranth's own: :mod:`boards.flow`. Results are kept in
`build/synthesis` by the digest of all that they depend on.
"""

import hashlib
import json
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from amaranth.back import rtlil

from host.errors import UserError
from host.files import writing
from sim.tools import execute, nextpnr, version, yosys
from sw_ref import build_cache


__all__ = ["FAMILIES", "Area", "Routed", "check_tools", "text_of", "synthesize", "place_and_route"]


CACHE = build_cache.folder("synthesis")
FAMILIES = {
    "ecp5": "synth_ecp5 -top {top} {options}",
    "xcup": "synth_xilinx -family xcup -flatten -noiopad -noclkbuf -top {top} {options}",
}
# ABC9 stops without a word over some designs' names of wires; without the names it maps them.
NAMELESS = "hierarchy -top {top}; proc; flatten; rename -hide; "
# A part of each kind of a family's cells in the counts of `Area`: (kind, how many).
COUNTS = {
    "ecp5": {
        "LUT4": ("lut", 1),
        "CCU2C": ("lut", 2),
        "TRELLIS_FF": ("ff", 1),
        # 16 words of 4 bits in four LUTs; two more LUTs' inputs serve for writing.
        "TRELLIS_DPR16X4": ("lut", 6),
        "MULT18X18D": ("dsp", 1),
        "ALU54B": ("dsp", 1),
        "DP16KD": ("bram", 1),
        "PDPW16KD": ("bram", 1),
    },
    "xcup": {
        **{f"LUT{n}": ("lut", 1) for n in range(1, 7)},
        "INV": ("lut", 1),
        "SRL16E": ("lut", 1),
        "SRLC32E": ("lut", 1),
        "RAM32X1S": ("lut", 1),
        "RAM64X1S": ("lut", 1),
        "RAM32X1D": ("lut", 2),
        "RAM64X1D": ("lut", 2),
        "RAM32M": ("lut", 4),
        "RAM64M": ("lut", 4),
        "RAM32M16": ("lut", 8),
        "RAM64M8": ("lut", 8),
        **{name: ("ff", 1) for name in ("FDRE", "FDSE", "FDCE", "FDPE")},
        "DSP48E2": ("dsp", 1),
        "RAMB18E2": ("bram", 1),
        "RAMB36E2": ("bram", 2),
    },
}
# Cells that take no place of their own: multiplexers behind LUTs, carries beside them, notes.
FREE = {"PFUMX", "L6MUX21", "MUXF7", "MUXF8", "MUXF9", "CARRY4", "CARRY8", "$scopeinfo"}
DEVICE = ["--85k", "--package", "CABGA381", "--speed", "6"]


@dataclass(frozen=True)
class Area:
    """What a design takes of an FPGA.

    Parameters
    ----------
    family : :class:`str`
        One of :data:`FAMILIES`.
    lut : :class:`int`
        LUTs: of four inputs on `ecp5`, of six on `xcup`, with those that carry chains and small
        memories take.
    ff, dsp, bram : :class:`int`
        Flip-flops; multiplier blocks (MULT18X18D, DSP48E2); block RAMs of 18 Kbit.
    cells : :class:`dict`
        Cells by type, as yosys names them.
    seconds : :class:`float`
        Time that synthesis took.
    """

    family: str
    lut: int
    ff: int
    dsp: int
    bram: int
    cells: dict
    seconds: float

    @classmethod
    def of(cls, family, cells, seconds):
        """The area that cells, by type, take."""
        totals = dict.fromkeys(("lut", "ff", "dsp", "bram"), 0)
        for name, count in cells.items():
            if name in FREE:
                continue
            if name not in COUNTS[family]:
                raise UserError(
                    f"{family}: cells of type {name!r} cannot be counted; add it to COUNTS in "
                    "boards/synthesis.py"
                )
            kind, weight = COUNTS[family][name]
            totals[kind] += weight * count
        return cls(family=family, cells=cells, seconds=seconds, **totals)


@dataclass(frozen=True)
class Routed:
    """A design, placed and routed on an LFE5U-85F.

    Parameters
    ----------
    fmax : :class:`float` or None
        Largest clock frequency in MHz between its registers, those of its ports included. None:
        the design does not fit, `problem` says why.
    seconds : :class:`float`
        Time that it took.
    """

    fmax: float | None
    seconds: float
    problem: str | None = None


def text_of(component):
    """A component as RTLIL with `top` as its top module, the same wherever its source lies."""
    return rtlil.convert(component, name="top", emit_src=False)


def check_tools(route=True):
    """Refuse to go on without the tools, before anything takes time."""
    yosys()
    if route:
        nextpnr()


def kept(result, inputs, make):
    """What `make(folder)` says of `inputs`, a `result`: from the cache, if it is there."""
    digest = hashlib.sha256("\0".join(inputs).encode()).hexdigest()[:24]
    folder = CACHE / digest
    try:
        return result(**json.loads((folder / "result.json").read_text()))
    except (FileNotFoundError, NotADirectoryError):
        pass
    with writing(CACHE):
        CACHE.mkdir(parents=True, exist_ok=True)
        # Made aside and then renamed: an interrupted run leaves nothing that looks complete.
        with tempfile.TemporaryDirectory(dir=CACHE, prefix=f"{digest}.") as part:
            part = Path(part)
            made = make(part)
            (part / "result.json").write_text(json.dumps(asdict(made), indent=1) + "\n")
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(part, folder, dirs_exist_ok=True)
    return made


def script(family, dsp, top, netlist, before=""):
    """What yosys is to do, `before` being what it does first."""
    flow = (before + FAMILIES[family]).format(top=top, options="" if dsp else "-nodsp")
    return "; ".join(
        [
            "read_rtlil design.il",
            flow,
            *(["write_json netlist.json"] if netlist else []),
            "tee -q -o stat.json stat -json",
        ]
    )


def run_yosys(text, folder, *args, **options):
    """Run a :func:`script` within a folder. Returns cells by type."""
    (folder / "design.il").write_text(text)
    for before in "", NAMELESS:
        code, said = execute([yosys(), "-q", "-p", script(*args, **options, before=before)], folder)
        if not code:
            return json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]
        if said:
            break
    raise UserError(f"yosys failed with exit code {code}: {' '.join(said) or 'it said nothing'}")


def synthesize(text, family, *, dsp=True, top="top"):
    """Map a design to the cells of a family. Returns its :class:`Area`.

    Parameters
    ----------
    text : :class:`str`
        The design in RTLIL, for example from :func:`text_of`.
    family : :class:`str`
        One of :data:`FAMILIES`.
    dsp : :class:`bool`
        Multiply in multiplier blocks. False: in LUTs.
    """
    if family not in FAMILIES:
        raise UserError(f"family must be one of {', '.join(FAMILIES)}, not {family!r}")
    commands = script(family, dsp, top, netlist=False)

    def make(folder):
        start = time.perf_counter()
        cells = run_yosys(text, folder, family, dsp, top, netlist=False)
        return Area.of(family, cells, time.perf_counter() - start)

    return kept(Area, [text, commands, repr(COUNTS[family]), version(yosys())], make)


def place_and_route(text, *, dsp=True, top="top", seed=1):
    """Place and route a design alone, without pins. Returns what came of it, :class:`Routed`.

    Paths that begin or end at ports are not counted: a design's ports must be its registers', or
    figures are too good.
    """
    commands = script("ecp5", dsp, top, netlist=True)
    # A clock that no design here reaches: the tool optimizes as far as it can.
    arguments = [
        *DEVICE,
        "--out-of-context",
        "--json",
        "netlist.json",
        "--report",
        "report.json",
        "--freq",
        "250",
        "--seed",
        str(seed),
        "--timing-allow-fail",
    ]

    def make(folder):
        start = time.perf_counter()
        run_yosys(text, folder, "ecp5", dsp, top, netlist=True)
        code, said = execute([nextpnr(), *arguments], folder)
        (folder / "netlist.json").unlink()  # tens of megabytes
        seconds = time.perf_counter() - start
        if code:
            problem = next((line for line in said if line.startswith("ERROR:")), " ".join(said))
            return Routed(fmax=None, seconds=seconds, problem=problem.removeprefix("ERROR: "))
        clocks = json.loads((folder / "report.json").read_text())["fmax"]
        return Routed(fmax=min(clock["achieved"] for clock in clocks.values()), seconds=seconds)

    return kept(Routed, [text, commands, *arguments, version(yosys()), version(nextpnr())], make)
