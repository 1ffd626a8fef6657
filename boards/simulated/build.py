"""Compile a board's bitstream design, and the models around it, into shared libraries."""

from importlib.metadata import version
from pathlib import Path

from host.errors import UserError
from sim.fpga.build import CACHE, FLAGS, OPTIMIZE, SPLIT, cached, compile_model, execute
from sim.tools import ROOT, refuse, verilator

from .sdram import header


__all__ = ["BOARDS", "board_library", "sdram_library"]


HERE = Path(__file__).resolve().parent
# Boards that can be simulated, and what gives their pins the harness's names.
BOARDS = {"ulx3s-85f": "ulx3s.v"}
DESIGN = "board", "ecp5", "pins", "system"  # what its design is made of, besides
MODELS = "sdram.hpp", "line.hpp", "harness.cpp"


def sources(*names):
    return [header(), *((HERE / name).read_text() for name in names)]


def design(board):
    """The files from which the board's bitstream would be made, in Verilog, by name."""
    plan = board.platform().build(board.top(), do_build=False, debug_verilog=True)
    files = {
        name: text.decode() if isinstance(text, bytes) else text
        for name, text in plan.files.items()
    }
    return {
        "top.v": files["top.debug.v"],
        **{n: text for n, text in files.items() if n.endswith(".v") and n != "top.debug.v"},
    }


def board_library(board, progress=None):
    """Shared library of the simulated board; its interface is that of `harness.cpp`.

    It is kept in `build/sim`, and built again when anything that it is made of has changed.

    Parameters
    ----------
    board : :class:`boards.board.Board`
        Board.
    progress : callable or None
        Called with a line of text before each long step.
    """
    if board.name not in BOARDS:
        raise UserError(f"simulated boards are {', '.join(BOARDS)}; not {board.name!r}")
    say = progress or (lambda text: None)
    folder = CACHE / f"board-{board.name}"
    pins = BOARDS[board.name]
    python = [
        path.read_text()
        for path in (
            *sorted((ROOT / "rtl").rglob("*.py")),
            *sorted((ROOT / "boards" / "dram").rglob("*.py")),
            *(ROOT / "boards" / f"{name}.py" for name in DESIGN),
            ROOT / f"{board.module.replace('.', '/')}.py",
        )
    ]

    def translate(part):
        say("writing Verilog")
        files = design(board)
        for name, text in files.items():
            (part / name).write_text(text)
        for name in (pins, "primitives.v"):
            (part / name).write_text((HERE / name).read_text())
        say("Verilator: translating to C++")
        execute(
            [
                verilator(),
                "--cc",
                "--top-module",
                "board",
                "--prefix",
                "Vboard",
                "-Mdir",
                "obj",
                "--pins-inout-enables",
                *FLAGS,
                *SPLIT,
                "-CFLAGS",
                "-fPIC",
                *files,
                pins,
                "primitives.v",
            ],
            part,
        )
        say("g++: compiling")
        compile_model(part, "Vboard")

    model = cached(
        folder / "model",
        "obj/Vboard__ALL.a",
        [
            repr(board),
            repr(board.config),
            version("amaranth"),
            version("amaranth-boards"),
            *python,
            *sources(pins, "primitives.v"),
            *FLAGS,
            *SPLIT,
            *OPTIMIZE,
            str(verilator()),
            str(verilator().stat().st_mtime_ns),
        ],
        translate,
        say,
    )

    def link(part):
        (part / "sdram_params.hpp").write_text(header())
        include = verilator().parent.parent / "share" / "verilator" / "include"
        say("g++: linking")
        execute(
            [
                "g++",
                "-std=c++20",
                "-shared",
                "-fPIC",
                *OPTIMIZE,
                "-DVM_TRACE=0",
                "-I.",
                f"-I{model.parent}",
                f"-I{HERE}",
                f"-isystem{include}",
                f"-isystem{include / 'vltstd'}",
                HERE / "harness.cpp",
                model,
                model.with_name("libverilated.a"),
                "-pthread",
                "-o",
                "board.so",
            ],
            part,
        )

    return cached(
        folder / "library",
        "board.so",
        [(model.parent.parent / "digest").read_text(), *sources(*MODELS)],
        link,
        say,
    )


def sdram_library():
    """Shared library of `sdram_trace.cpp`: the SDRAM model alone."""
    refuse("g++")

    def build(folder):
        (folder / "sdram_params.hpp").write_text(header())
        execute(
            [
                "g++",
                "-std=c++20",
                "-shared",
                "-fPIC",
                "-O2",
                "-Wall",
                "-Wextra",
                "-I.",
                f"-I{HERE}",
                str(HERE / "sdram_trace.cpp"),
                "-o",
                "sdram.so",
            ],
            folder,
        )

    return cached(CACHE / "sdram", "sdram.so", sources("sdram.hpp", "sdram_trace.cpp"), build)
