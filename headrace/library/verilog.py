"""Plain Verilog: of the whole accelerator, or of a linear core alone."""

from collections.abc import Callable
from dataclasses import replace
from os import PathLike
from pathlib import Path

from host.errors import UserError
from host.files import replacing
from host.progress import console
from rtl.spec.config import CORES

from .machines import DEFAULT, Machine, machine as machine_of


__all__ = ["verilog", "with_core"]


Files = dict[str, Callable[[Path], object]]  # by name, what writes each


def verilog(
    machine: str | Machine = DEFAULT,
    folder: str | PathLike[str] = "build/verilog",
    *,
    core: bool = False,
) -> list[Path]:
    """Write a machine as plain Verilog, which needs no framework.

    Parameters
    ----------
    machine : :class:`str` or :class:`Machine`
        As :func:`machine` takes it.
    folder : path
        Made if need be.
    core : :class:`bool`
        Only the machine's linear core, with a manual and a testbench. Else the whole accelerator as
        ``headrace.v``, with its registers and instructions as Markdown.

    Returns
    -------
    list of :class:`pathlib.Path`
        The files.
    """
    from amaranth.back.verilog import YosysError

    config, folder = machine_of(machine), Path(folder)
    files = core_files(config) if core else accelerator_files(config)
    try:
        with console().status("generating Verilog"):
            for name, write in files.items():
                with replacing(folder / name) as path:
                    write(path)
    except YosysError as error:  # the hardware is right: its surroundings are not
        said = str(error).strip().splitlines()[-1:] or ["it said nothing"]
        raise UserError(f"yosys failed: {said[0]}; is there room for temporary files?") from None
    return [folder / name for name in files]


def with_core(config: Machine, core: str | None, what: str = "core") -> Machine:
    """A machine with another linear core, and the formats that this has when none are named."""
    if core is None or core == config.core:
        return config
    if core not in CORES:
        raise UserError(f"{what} must be one of {', '.join(CORES)}, not {core!r}")
    stem = config.name.removesuffix(f"-{config.core}")
    return replace(config, name=f"{stem}-{core}", core=core, formats=())


def accelerator_files(config: Machine) -> Files:
    """Files of the whole accelerator, as functions that write them."""
    from rtl.verilog import emit

    from ..docs.generate import generate

    def document(name):
        return lambda path: path.write_text(generate(Path("docs") / name))

    return {
        "headrace.v": lambda path: emit(config, path),
        "registers.md": document("registers.md"),
        "isa.md": document("isa.md"),
    }


def core_files(config: Machine) -> Files:
    """Files of the linear core."""
    from rtl.cores import standalone
    from rtl.standalone.core import Standalone
    from rtl.standalone.manual import manual
    from rtl.standalone.testbench import testbench
    from rtl.verilog import emit_core

    if config.parts > 1:
        raise UserError(
            f"beat_bits of a linear core alone must be at least {config.word_bits}, not "
            f"{config.beat_bits}: its manual and testbench are of whole steps"
        )
    core = Standalone(standalone(config))
    return {
        f"{core.name}.v": lambda path: emit_core(core, path),
        "README.md": lambda path: path.write_text(manual(core)),
        "testbench.sv": lambda path: path.write_text(testbench(core)),
    }
