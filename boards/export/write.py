"""The folder of a board: Verilog, scripts of the vendor's tools, and drivers."""

from pathlib import Path
from types import SimpleNamespace

from amaranth.back import verilog
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from host.files import replacing
from rtl.spec import csr

from .kernel import Kernel
from .registers import BLOCK_ADDRESS_BITS, MACHINE, REGISTERS


__all__ = ["FILES", "registers", "write"]


HERE = Path(__file__).resolve().parent
# By flow: templates, and files that are the same for all boards. A template's name without its
# ending is the name of what it makes.
COMMON = ["README.md", "package_ip.tcl", "headrace_ooc.xdc"]
FILES = {
    "zynq": (
        [*COMMON, "build.tcl", "block_design.tcl", "board.xdc"],
        {"pynq_device.py": "headrace_pynq.py"},
    ),
    "xrt": (
        [*COMMON, "package_xo.tcl", "link.cfg", "xrt.mk"],
        {"xrt_device.py": "headrace_xrt.py", "headrace_xrt.cpp": "headrace_xrt.cpp"},
    ),
}
ACCESS = {"r": "read-only", "w": "write-only", "rw": "read-write"}


def registers():
    """Yield what tools are told of the registers: name, address, bits and access."""
    for base, table in (0, REGISTERS), (MACHINE, csr.REGISTERS):
        for r in table.values():
            # A number of two words is one register, of many of a kind this is the first.
            yield SimpleNamespace(
                name=r.name,
                address=base + r.address,
                bits=64 if r.count == 2 else 32,
                access=ACCESS[r.access],
            )


def render(name, **values):
    """Text of a template; a name that it does not know is an error."""
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return templates.get_template(f"{name}.jinja").render(**values)


def kernel_verilog(config):
    """Text of the :class:`~.kernel.Kernel`, with `headrace` as its top module."""
    return verilog.convert(Kernel(config), name="headrace", strip_internal_attrs=True)


def write(target, config, folder):
    """Write all files of a board to a folder; returns their names.

    Parameters
    ----------
    target : :class:`~.targets.Target`
    config : :class:`~rtl.spec.config.Config`
    folder : path
    """
    folder = Path(folder)
    values = {
        "target": target,
        "config": config,
        "registers": list(registers()),
        "address_bits": BLOCK_ADDRESS_BITS,
        "bandwidth": target.bandwidth(config),
    }
    templates, copies = FILES[target.flow]
    texts = {name: render(name, **values) for name in templates}
    texts |= {name: (HERE / source).read_text() for source, name in copies.items()}
    texts["headrace.v"] = kernel_verilog(config)
    for name, text in texts.items():
        with replacing(folder / name) as path:
            path.write_text(text)
    return list(texts)
