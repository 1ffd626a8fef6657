"""Plain Verilog of the accelerator, or of a linear core, for tools that know nothing of
Amaranth.
"""

from pathlib import Path

from amaranth.back import verilog

from .top import Accelerator


__all__ = ["emit", "emit_core"]


def emit(config, path, *, name="headrace"):
    """Write the accelerator as one Verilog file, with `name` as its top module.

    Ports are `clk`, `rst` (synchronous, active high) and the members of
    :class:`~rtl.top.Accelerator`.
    """
    text = verilog.convert(Accelerator(config), name=name, strip_internal_attrs=True)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def emit_core(core, path):
    """Write a :class:`~rtl.standalone.core.Standalone` linear core as one Verilog file."""
    config = core.config
    text = verilog.convert(
        core, name=core.name, ports=list(core.signals.values()), strip_internal_attrs=True
    )
    about = {
        "core": config.core,
        "configuration": config.name,
        "beat_bits": config.beat_bits,
        "lanes (N)": config.rows,
        "columns (M)": config.columns,
        "rows of sums (R)": core.core.lanes,
        "formats": ", ".join(fmt.name for fmt in core.formats),
        "latency": f"{core.core.latency} cycles",
        "capacity": f"{core.core.capacity} steps",
    }
    header = [
        f"// {core.name}: a linear core of Headrace. README.md explains its interface.",
        "//",
        *(f"// {name + ':':<20}{value}" for name, value in about.items()),
        "",
    ]
    Path(path).write_text("\n".join([*header, text]))
