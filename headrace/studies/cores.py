"""The linear cores side by side: what each takes of an FPGA, and how fast its clock may be."""

from dataclasses import replace

from boards.synthesis import place_and_route, synthesize, text_of
from rtl.cores import create
from rtl.linear.pipeline import LinearPipeline
from rtl.spec.config import CORES, GROUP, NEEDED


__all__ = ["PARTS", "with_core", "hardware"]


# The core alone, and with all that makes a memory's beats into sums: unpacker, activations, scales.
PARTS = {"core": (create, ("ecp5", "xcup")), "pipeline": (LinearPipeline, ("ecp5",))}
LARGEST = {"lut": 83640, "dsp": 156, "bram": 208}  # what an LFE5U-85F has


def with_core(config, core, formats):
    """A configuration with another core, that has hardware for some formats only.

    Returns None where the core cannot be built for one of them.
    """
    formats = {*formats, *NEEDED}
    if not formats <= set(CORES[core]):
        return None
    ordered = tuple(name for name in CORES[core] if name in formats)
    return replace(
        config, name=f"{config.name}-{core}-{'-'.join(ordered)}".lower(), core=core, formats=ordered
    )


def hardware(config, route=True, step=lambda text: None):
    """Figures of a configuration's linear core, by part and name."""
    figures = {"peak_macs": config.columns * config.rows * GROUP}
    for part, (make, families) in PARTS.items():
        text = text_of(make(config))
        for family in families:
            step(f"{config.name}: synthesis of the {part} for {family}")
            area = synthesize(text, family)
            figures[f"{part}_{family}"] = {
                "lut": area.lut,
                "ff": area.ff,
                "dsp": area.dsp,
                "bram": area.bram,
            }
        if not route:
            continue
        area = figures[f"{part}_ecp5"]
        if all(area[name] <= most for name, most in LARGEST.items()):
            step(f"{config.name}: routing the {part}")
            figures[f"{part}_ecp5"]["fmax"] = place_and_route(text).fmax
        else:
            figures[f"{part}_ecp5"]["fmax"] = None
    return figures
