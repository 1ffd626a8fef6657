"""Plain Verilog of the accelerator, for tools that know nothing of Amaranth."""

from pathlib import Path

from amaranth.back import verilog

from .top import Accelerator


__all__ = ["emit"]


def emit(config, path, *, name="headrace"):
    """Write the accelerator as one Verilog file, with `name` as its top module.

    Ports are `clk`, `rst` (synchronous, active high) and the members of
    :class:`~rtl.top.Accelerator`.
    """
    text = verilog.convert(Accelerator(config), name=name, strip_internal_attrs=True)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
