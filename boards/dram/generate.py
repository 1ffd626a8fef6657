"""LiteDRAM's controllers, as Verilog."""

import csv
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from host.errors import UserError
from sw_ref import build_cache

from .initialise import MODE_REGISTERS
from .registers import REGISTERS


__all__ = ["VERSIONS", "generate", "settings"]


HERE = Path(__file__).resolve().parent
CACHE = build_cache.folder("dram")
VERSIONS = {"litedram": "2024.12", "litex": "2024.12", "migen": "0.10.0"}
MODULE = "litedram_core"
# The generator declares what is driven from both ends as an input.
BOTH_WAYS = "sdram_dq", "ddram_dq", "ddram_dqs_p"
# Of the DDR3 chips' drivers and terminations: those of LiteX's own descriptions of these boards.
DDR3 = {
    "rtt_nom": "60ohm",
    "rtt_wr": "60ohm",
    "ron": "34ohm",
    "init_clk_freq": 25e6,
    "cmd_buffer_depth": 16,
}


def settings(dram, *, data_bits, id_width):
    """What the generator is told of a :class:`~.board_memory.BoardMemory` with an AXI port of such
    widths."""
    ddr3 = dram.kind == "ddr3"
    return {
        "cpu": None,
        "device": dram.device,
        "memtype": dram.kind.upper(),
        "sdram_module": dram.chip.module,
        "sdram_module_nb": 2,
        "sdram_rank_nb": 1,
        "sdram_phy": "ECP5DDRPHY" if ddr3 else "GENSDRPHY",
        "sys_clk_freq": dram.clock_mhz * 1e6,
        "input_clk_freq": dram.input_mhz * 1e6,
        # Its banks precharge by themselves without regard to tRAS, which an SDR chip leaves to the
        # controller.
        "with_auto_precharge": False,
        **({**DDR3, "rfc_ns": dram.chip.rfc_ns} if ddr3 else {}),
        "user_ports": {"axi": {"type": "axi", "data_width": data_bits, "id_width": id_width}},
    }


def check_versions():
    """Refuse to go on without the generator, or with another than what this was tested with."""
    for name, wanted in VERSIONS.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            found = None
        if found != wanted:
            raise UserError(
                f"boards' memories need {name} {wanted}, which is "
                f"{'not installed' if found is None else f'installed as {found}'}; run "
                "`make install FOR=boards`, or pip install 'headrace[boards,synth]'"
            )


def generate(dram, *, data_bits, id_width):
    """Verilog of the controller of a :class:`~.board_memory.BoardMemory`.

    Its module is named `litedram_core`. It is kept in `build/dram`.

    Parameters
    ----------
    dram : :class:`~.board_memory.BoardMemory`
        The memory.
    data_bits, id_width : :class:`int`
        Widths of the AXI port's data and identifiers.
    """
    text = "\n".join(yaml_lines(settings(dram, data_bits=data_bits, id_width=id_width)))
    program = HERE / "generator.py"
    inputs = [text, repr(VERSIONS), Path(__file__).read_text(), program.read_text()]
    kept = CACHE / f"{hashlib.sha256(chr(0).join(inputs).encode()).hexdigest()[:24]}.v"
    try:
        return kept.read_text()
    except FileNotFoundError:
        check_versions()
        CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="part.") as folder:
        folder = Path(folder)
        (folder / "core.yml").write_text(text)
        command = [
            sys.executable,
            program,
            "core.yml",
            "--no-compile-software",
            "--output-dir",
            "out",
            "--name",
            MODULE,
        ]
        done = subprocess.run(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if done.returncode:
            end = " ".join(done.stdout.split("\n")[-4:])
            raise UserError(f"litedram_gen failed with exit code {done.returncode}: {end}")
        check_registers(dram.kind, folder / "out" / "csr.csv")
        check_sequence(dram, folder / "out" / "software" / "include" / "generated" / "sdram_phy.h")
        verilog = tidy((folder / "out" / "gateware" / f"{MODULE}.v").read_text())
        # Renamed into place: an interrupted run leaves nothing that looks complete.
        (folder / "core.v").write_text(verilog)
        os.replace(folder / "core.v", kept)
    return verilog


def yaml_lines(values, indent=""):
    """Yield lines of YAML, as far as these settings need it."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from yaml_lines(value, indent + "  ")
        else:
            yield f"{indent}{key}: {value}"


def tidy(verilog):
    """Declare bidirectional pads as such, and leave comments away.

    They have the date, and a tree of instances in an order that changes: what is the same should
    look it.
    """
    verilog = re.sub(r"/\*.*?\*/|\s*//[^\n]*", "", verilog, flags=re.DOTALL)
    verilog = (
        f"// By LiteDRAM {VERSIONS['litedram']}, https://github.com/enjoy-digital/litedram\n"
        + verilog
    )

    def declare(match):
        return f"{match[1]}inout {match[2]}" if match[3] in BOTH_WAYS else match[0]

    return re.sub(
        r"(^\s*)input( +wire +(?:\[[^]]*\] +)?(\w+),?$)", declare, verilog, flags=re.MULTILINE
    )


def check_registers(kind, path):
    """Refuse a controller whose registers lie elsewhere than the host looks for them."""
    found = {
        row[1]: (int(row[2], 0) // 4, int(row[3]))
        for row in csv.reader(path.open())
        if row and row[0] == "csr_register"
    }
    if found != REGISTERS[kind]:
        moved = sorted(
            name
            for name in found.keys() | REGISTERS[kind].keys()
            if found.get(name) != REGISTERS[kind].get(name)
        )
        raise UserError(
            f"the generated controller's registers are not where boards/dram/registers.py has "
            f"them: {', '.join(moved)}"
        )


def check_sequence(dram, path):
    """Refuse a controller that expects the memory in another mode than the host brings it up in."""
    text = path.read_text()
    if (latency := int(re.search(r"#define SDRAM_PHY_CL (\d+)", text)[1])) != dram.cas_latency:
        raise UserError(
            f"the generated controller's CAS latency is {latency}, that of "
            f"boards/dram/board_memory.py {dram.cas_latency}"
        )
    loads = re.findall(
        r"Load Mode Register.*\n.*address_write\((\w+)\);\n.*baddress_write\((\d+)\);", text
    )
    loads = [(int(bank), int(value, 0)) for value, bank in loads]
    if dram.kind == "ddr3" and loads != MODE_REGISTERS:
        raise UserError(
            f"the generated controller wants the mode registers {loads}, boards/dram/initialise.py "
            f"has {MODE_REGISTERS}"
        )
