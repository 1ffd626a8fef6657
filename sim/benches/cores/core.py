"""Bench of every linear core that is registered, in sizes that all have."""

from dataclasses import replace

from rtl.cores import CORES
from rtl.spec.config import NATIVE, get

from ._conformance import tests


# Three columns are no power of two. Of the usual formats, of the two that every core has, of those
# of files, and of the code books alone.
BOOKS = ("FP4", "FP4_16")
SIZES = {
    "small": {},
    "odd": {"beat_bits": 256, "columns": 3},
    "plain": {"beat_bits": 256, "columns": 2, "formats": ("U4", "S8")},
    "files": {"columns": 2, "formats": ("U4", "S8", "U5", "S6", *BOOKS)},
    "half": {"beat_bits": 64, "columns": 2},
    "quarter": {"beat_bits": 32, "columns": 3, "formats": ("U4", "S8", "U5", "S6", *BOOKS)},
    "eighth": {"beat_bits": 16},
    "books": {"beat_bits": 256, "formats": ("S8", *BOOKS)},
}
CONFIGS = {
    f"{core}-{name}": replace(get("small"), name=name, core=core, **{"formats": ()} | values)
    for core in CORES
    for name, values in SIZES.items()
    if set(values.get("formats", ())) <= {*NATIVE[core]}
}
CASES = {name: lambda config=config: CORES[config.core](config) for name, config in CONFIGS.items()}

globals().update(tests(CASES))
