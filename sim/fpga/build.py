"""Compile C++, and the accelerator's Verilog by way of Verilator, into shared libraries."""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from host.image.digest import sha256
from sw_ref import build_cache

from ..checkers import rules
from ..runtime import Runtime
from ..tools import ROOT, WARNINGS, ToolError, environment, refuse, verilator
from . import state
from .dram_params import header


__all__ = [
    "CACHE",
    "FLAGS",
    "OPTIMIZE",
    "SPLIT",
    "cached",
    "compile_model",
    "execute",
    "library",
    "accelerator_library",
    "dram_library",
]


HERE = Path(__file__).resolve().parent
CACHE = build_cache.folder("sim")
FLAGS = ["--x-assign", "fast", "--x-initial", "fast", "--noassert", "-O3", *WARNINGS]
# Without splitting, the compiler takes minutes over large designs; small ones are faster whole.
SPLIT = ["--output-split", "20000", "--output-split-cfuncs", "1000"]
STAMPS = "digest", "SHA256SUMS"  # of what went into a build, and of what came out of it
SPLIT_ABOVE = 500_000  # bytes of Verilog
OPTIMIZE = ["-O3", "-march=native"]


def _machine():
    # -march=native makes libraries that another machine may not run.
    try:
        flags = [x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("flags")]
        return flags[0] if flags else platform.processor()
    except OSError:
        return platform.processor() or platform.machine()


def execute(command, folder):
    """Run a tool within a folder, which keeps its messages."""
    with open(folder / "build.log", "a") as log:
        log.write(f"$ {' '.join(map(str, command))}\n")
        log.flush()
        try:
            result = subprocess.run(
                command, cwd=folder, env=environment(), stdout=log, stderr=subprocess.STDOUT
            )
        except FileNotFoundError:
            raise ToolError(f"{command[0]}: must be installed, it is not found") from None
    if result.returncode:
        tail = (folder / "build.log").read_text().splitlines()[-15:]
        raise ToolError(
            "\n".join(
                [f"{Path(command[0]).name} failed; the end of {folder / 'build.log'}:", *tail]
            )
        )


@contextmanager
def _alone(folder, say):
    """Keep other processes from building `folder`; they get what this one has built."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    # The lock goes with the process, however that ends.
    with open(folder.with_name(f"{folder.name}.lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another process that builds this")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sum(folder):
    """Digests of all files that a build left, as `sha256sum` prints them."""
    made = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (*STAMPS, "build.log")
    )
    return "".join(f"{sha256(path)}  {path.relative_to(folder)}\n" for path in made)


def _state(folder, digest):
    """What is in a folder: "built" from these inputs, "damaged" since then, or "stale"."""
    inputs, sums = (folder / name for name in STAMPS)
    try:
        if inputs.read_text(errors="replace") != digest:
            return "stale"
        return "built" if sums.read_text(errors="replace") == _sum(folder) else "damaged"
    except OSError:
        return "stale"


def cached(folder, name, inputs, build, say=lambda text: None):
    """Path of the library `name`, which `build(folder)` makes when `inputs` have changed.

    Files that are not what was built are never loaded or linked: `folder` is built again.
    """
    digest = hashlib.sha256("\0".join([*inputs, _machine()]).encode()).hexdigest()
    try:
        # Without the lock, which a read-only folder refuses.
        if _state(folder, digest) == "built":
            return folder / name
        with _alone(folder, say):
            state = _state(folder, digest)
            if state == "damaged":
                say(f"{folder} is damaged, building it again")
            if state != "built":
                _build(folder, digest, build)
    except OSError as error:
        raise ToolError(
            f"{folder}: cannot be built: {error.strerror or error}. See to its disk's "
            "space and permissions"
        ) from error
    return folder / name


def _build(folder, digest, build):
    """Build aside and then rename: an interrupted build leaves nothing that looks complete."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        build(part)
        for stamp, text in zip(STAMPS, (digest, _sum(part))):
            (part / stamp).write_text(text)
    except OSError:  # a full disk wants the room; a tool that fails leaves its log
        shutil.rmtree(part, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def _how(makefile):
    """What Verilator's runtime depends on: options, tools, and what the model uses of it."""
    uses = [line for line in makefile.read_text().splitlines() if line.startswith("VM_")]
    return [*OPTIMIZE, str(verilator()), str(verilator().stat().st_mtime_ns), _machine(), *uses]


def compile_model(part, prefix):
    """Compile what Verilator wrote to `part/obj` under a prefix, and keep nothing but libraries."""
    runtime = Runtime(CACHE / ".runtime", _how(part / "obj" / f"{prefix}_classes.mk"))
    runtime.give(part / "obj")
    execute(
        [
            "make",
            "-C",
            "obj",
            "-f",
            f"{prefix}.mk",
            f"-j{min(2, os.cpu_count() or 1)}",
            f"OPT_FAST={' '.join(OPTIMIZE)}",
            "OPT_SLOW=-O0",
            "OPT_GLOBAL=-O2",
            f"{prefix}__ALL.a",
            "libverilated.a",
        ],
        part,
    )
    runtime.keep(part / "obj")
    for path in (part / "obj").iterdir():
        if path.suffix in (".o", ".cpp", ".gch", ".d"):
            path.unlink()


def _sources(*names):
    return [header(), *((HERE / name).read_text() for name in names)]


def library(name, text, *, beat_bytes, config=None, trace=False, places=None, progress=None):
    """Shared library of the simulated FPGA for the Verilog of an accelerator.

    Its interface is that of `harness.cpp`. It is kept in `build/sim/NAME`, and built again when
    anything that it is made of has changed.

    Parameters
    ----------
    name : :class:`str`
        What to call it.
    text : :class:`str`
        The Verilog; its top module is named `accelerator`.
    beat_bytes : :class:`int`
        Bytes of the memory bus.
    config : :class:`rtl.spec.config.Config` or None
        Whose state the library shows (:mod:`sim.fpga.state`). None: nobody's.
    trace : :class:`bool`
        Compile in FST tracing, which is slower even while it is off.
    places : list of :class:`str` or None
        The text has checkers at these places, and registers and memories without initial values, as
        :func:`~sim.checkers.attach.checked_verilog` makes it: what the checkers find is an error,
        and each power-up begins with other values. None: it has none.
    progress : callable or None
        Called with a line of text before each long step.
    """
    say, checked = progress or (lambda text: None), places is not None
    folder = CACHE / "-".join([name, *["trace"] * trace, *["checked"] * checked])
    flags = [*FLAGS, *(["--x-initial", "unique"] if checked else [])]
    tool = [str(verilator()), str(verilator().stat().st_mtime_ns)]
    seen, words = state.header(config), rules.header(places or ())

    def translate(part):
        (part / "accelerator.sv").write_text(text)
        say("Verilator: translating to C++")
        execute(
            [
                verilator(),
                "--cc",
                "--top-module",
                "accelerator",
                "--prefix",
                "Vtop",
                "-Mdir",
                "obj",
                *flags,
                *(["--trace-fst"] if trace else []),
                *(SPLIT if len(text) > SPLIT_ABOVE else []),
                "-CFLAGS",
                "-fPIC",
                "accelerator.sv",
            ],
            part,
        )
        say("g++: compiling")
        compile_model(part, "Vtop")

    model = cached(
        folder / "model",
        "obj/Vtop__ALL.a",
        [text, str(trace), *flags, *SPLIT, *OPTIMIZE, *tool],
        translate,
        say,
    )

    def link(part):
        (part / "dram_params.hpp").write_text(header())
        (part / "params.hpp").write_text(f"#define BEAT_BYTES {beat_bytes}\n")
        (part / "state.hpp").write_text(seen)
        (part / "checkers.hpp").write_text(words)
        include = verilator().parent.parent / "share" / "verilator" / "include"
        say("g++: linking")
        execute(
            [
                "g++",
                "-std=c++17",
                "-shared",
                "-fPIC",
                *OPTIMIZE,
                f"-DVM_TRACE_FST={int(trace)}",
                f"-DVM_TRACE={int(trace)}",
                f"-DCHECKED={int(checked)}",
                "-I.",
                f"-I{model.parent}",
                f"-I{HERE}",
                f"-isystem{include}",
                f"-isystem{include / 'vltstd'}",
                HERE / "harness.cpp",
                model,
                model.with_name("libverilated.a"),
                "-pthread",
                *(["-llz4", "-lz"] if trace else []),
                "-o",
                "accelerator.so",
            ],
            part,
        )

    # The harness is not part of the model, which takes minutes.
    return cached(
        folder / "library",
        "accelerator.so",
        [
            (model.parent.parent / "digest").read_text(),
            str(beat_bytes),
            seen,
            words,
            *_sources("dram.hpp", "stalls.hpp", "memory.hpp", "harness.cpp"),
        ],
        link,
        say,
    )


def without_zeros(verilog):
    """Drop the zeros that memories begin with, which they do in Verilator anyway.

    Of large memories they are most of the text, and of the time that compiling takes.
    """
    return re.sub(
        r"^  initial begin\n.*?^  end\n",
        lambda block: re.sub(r"^ +\S+ ?\[\d+\] = \d+'[dh]0+;\n", "", block[0], flags=re.M),
        verilog,
        flags=re.M | re.S,
    )


def _hardware(config):
    """What the Verilog depends on of a configuration: another name, clock or DRAM builds
    nothing.
    """
    return repr(replace(config, name="", clock_mhz=1.0, dram="ideal"))


def _folder(config):
    digest = hashlib.sha256(_hardware(config).encode()).hexdigest()
    return f"{config.core}-{config.beat_bits}-{digest[:12]}"


def accelerator_verilog(config, *, checked=False, say=lambda text: None):
    """Text of the accelerator's Verilog, kept while the sources that make it stay the same; and the
    places of its checkers, or None."""

    def write(part):
        from rtl.top import Accelerator

        from ..checkers.attach import checked_verilog, plain_verilog

        say("writing Verilog")
        top = Accelerator(config)
        text, places = (
            checked_verilog(top, "accelerator")
            if checked
            else (plain_verilog(top, "accelerator"), None)
        )
        (part / "accelerator.sv").write_text(text)
        (part / rules.PLACES).write_text(json.dumps(places))

    sources = sorted((ROOT / "rtl").rglob("*.py")) + [
        *sorted((ROOT / "sim" / "checkers").glob("*.*")),
        ROOT / "sim" / "harness" / "initial.py",
    ]
    inputs = [_hardware(config), version("amaranth"), *(path.read_text() for path in sources)]
    folder = CACHE / "-".join([_folder(config), *["checked"] * checked]) / "verilog"
    text = cached(folder, "accelerator.sv", inputs, write, say)
    return text.read_text(), json.loads(text.with_name(rules.PLACES).read_text())


def accelerator_library(config, *, trace=False, checked=False, progress=None):
    """:func:`library` of the accelerator for a :class:`rtl.spec.config.Config`.

    A change in the sources that leaves the Verilog as it is builds nothing.
    """
    text, places = accelerator_verilog(config, checked=checked, say=progress or (lambda text: None))
    return library(
        _folder(config),
        text,
        beat_bytes=config.beat_bytes,
        config=config,
        trace=trace,
        places=places,
        progress=progress,
    )


def dram_library():
    """Shared library of `dram_trace.cpp`: the DRAM model alone."""
    refuse("g++")

    def build(folder):
        (folder / "dram_params.hpp").write_text(header())
        execute(
            [
                "g++",
                "-std=c++17",
                "-shared",
                "-fPIC",
                "-O2",
                "-Wall",
                "-Wextra",
                "-I.",
                f"-I{HERE}",
                str(HERE / "dram_trace.cpp"),
                "-o",
                "dram.so",
            ],
            folder,
        )

    return cached(CACHE / "dram", "dram.so", _sources("dram.hpp", "dram_trace.cpp"), build)
