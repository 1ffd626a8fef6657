"""Where the tools are."""

import os
import shutil
import sysconfig
from pathlib import Path

from host.errors import UserError


__all__ = ["ROOT", "WARNINGS", "ToolError", "verilator", "environment"]


ROOT = Path(__file__).resolve().parent.parent

# Generated Verilog is not meant to please. But a process without inputs, which yosys makes of a
# constant assigned beside a Switch, never runs: its outputs would silently stay what they are.
WARNINGS = ["-Wno-fatal", "-Wno-lint", "-Wno-style", "-Werror-ALWNEVER"]


class ToolError(UserError):
    """A tool is missing or does not work. The message says what to do."""


def verilator():
    """Path of the Verilator of this Python environment."""
    # The system's one may be too old for cocotb, and a wrong version computes wrong values.
    path = Path(sysconfig.get_path("purelib")) / "verilator" / "bin" / "verilator"
    if not path.exists():
        raise ToolError(f"Verilator must be at {path}; run `make install`")
    for need in ("perl", "make", "g++"):
        if shutil.which(need) is None:
            raise ToolError(f"Verilator needs {need!r}, which is not on PATH; "
                            f"install it with your system's package manager")
    return path


def environment():
    """Environment variables in which Verilator and Amaranth's Verilog back end are found."""
    return {**os.environ, "PATH": f"{verilator().parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
