"""How much a multiplication takes: tables and dense ways, over the widths of weights."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from boards.synthesis import FAMILIES, place_and_route, synthesize, text_of
from rtl.cores.lut import LutCore
from rtl.cores.tabled import TabledCore
from rtl.spec.config import get

from .dense import DenseCore, elements_of, rows_of


__all__ = ["FORMATS", "WAYS", "TILES", "Point", "study"]


FORMATS = {
    "U1": 1.0,
    "TERNARY": 1.58,
    "U2": 2.0,
    "U3": 3.0,
    "U4": 4.0,
    "S8": 8.0,
}  # bits of a weight


@dataclass(frozen=True)
class Way:
    """A way to multiply: how it is called, what does it, and whether it may use multiplier
    blocks.
    """

    name: str
    core: Callable
    dsp: bool = True


WAYS = {
    "table2": Way("tables of 2", lambda config, fmt: LutCore(config, formats=(fmt,), inputs=2)),
    "table4": Way("tables of 4", lambda config, fmt: LutCore(config, formats=(fmt,), inputs=4)),
    "rebuilt2": Way(
        "tables of 2, built every step",
        lambda config, fmt: TabledCore(LutCore(config, formats=(fmt,), inputs=2)),
    ),
    "planes": Way("bit planes", lambda config, fmt: DenseCore(config, fmt, "planes")),
    "multipliers": Way(
        "multipliers in LUTs", lambda config, fmt: DenseCore(config, fmt, "products"), False
    ),
    "blocks": Way("multiplier blocks", lambda config, fmt: DenseCore(config, fmt, "products")),
}
# What is measured, in tiles of one activation column: a beat of 128 bits has four rows of bit
# planes, one of 512 bits sixteen, which share the tables. All formats but S8 have the same rows of
# planes.
ALL, SOME = tuple(FORMATS), ("U1", "U4")
TILES = {128: dict.fromkeys(WAYS, ALL), 512: dict.fromkeys(("table2", "table4", "planes"), SOME)}
ROUTED = {128: dict.fromkeys(("table2", "planes", "blocks"), ALL)}


@dataclass(frozen=True)
class Point:
    """A way to multiply weights of a format, measured.

    Parameters
    ----------
    macs : :class:`int`
        Multiplications of a weight with an activation per cycle.
    lut, ff, dsp : :class:`int`
        See :class:`~.synthesis.Area`.
    fmax : :class:`float` or None
        MHz on an ECP5, None where it was not routed.
    """

    family: str
    beat_bits: int
    format: str
    way: str
    macs: int
    lut: int
    ff: int
    dsp: int
    fmax: float | None = None

    @property
    def luts_per_mac(self):
        return self.lut / self.macs


def tile(beat_bits):
    """Configuration of a tile with one column."""
    return replace(get("small-lut"), name=f"tile-{beat_bits}", beat_bits=beat_bits, columns=1)


def study(route=True, step=lambda text: None):
    """Yield a :class:`Point` for every tile, way, format and family."""
    for beat_bits, ways in TILES.items():
        for name, formats in ways.items():
            for fmt in formats:
                way, config = WAYS[name], tile(beat_bits)
                text, macs = text_of(way.core(config, fmt)), macs_of(config, fmt)
                for family in FAMILIES:
                    step(f"{fmt} with {way.name}, {beat_bits} bits: {family}")
                    area, fmax = synthesize(text, family, dsp=way.dsp), None
                    if (
                        route
                        and family == "ecp5"
                        and fmt in ROUTED.get(beat_bits, {}).get(name, ())
                    ):
                        step(f"{fmt} with {way.name}, {beat_bits} bits: routing")
                        fmax = place_and_route(text, dsp=way.dsp).fmax
                    yield Point(
                        family=family,
                        beat_bits=beat_bits,
                        format=fmt,
                        way=name,
                        macs=macs,
                        lut=area.lut,
                        ff=area.ff,
                        dsp=area.dsp,
                        fmax=fmax,
                    )


def macs_of(config, fmt):
    """Multiplications per cycle of weights of a format, whatever way they are done in."""
    return rows_of(config, fmt) * elements_of(fmt) * config.columns
