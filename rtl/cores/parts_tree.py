"""Adders of a DSP chain that works on parts of a step."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import Config
from ..spec.formats import FORMATS
from ..spec.isa import WeightFormat
from ..spec.sparse_modes import SLOTS, Mode
from .core import SUM_BITS


__all__ = ["PART_NODES", "Way", "PartsTree", "way_of"]


PAIR_BITS = 17  # of the sum of two products of whole bytes


def PART_NODES(config):
    """Where the chain is broken in a pass over a part."""
    return data.StructLayout(
        {
            "level": (config.elements - 1).bit_length(),  # one-hot: sums of 2, 4, ... cells
            "four": 1,  # four rows: sums 4 * quarter to 4 * quarter + 3
            "quarter": 1,
            "two": 1,  # two rows: sums 0 and 1, and again; otherwise one
            "whole": 1,  # one row, and its upper half beside it
        }
    )


class Way:
    """How the cells of a chain make rows of a step: `slots` for each row, `cells` of them used.

    Attributes
    ----------
    level : :class:`int`
        Logarithm of the cells whose sum is a row, or a part of one.
    rows : :class:`int`
        Rows that end in a part, one at least.
    spans : :class:`int`
        Parts of a row, one at least.
    payload : :class:`int`
        Parts of a payload of four rows, one at least.
    passes : :class:`int`
        Passes over a part: one for each payload that ends in it.
    """

    def __init__(self, parts, cells, slots):
        self.level = min(slots, cells).bit_length() - 1
        self.rows, self.spans = max(cells // slots, 1), max(slots // cells, 1)
        self.payload = min(max(4 * slots // cells, 1), parts)
        self.passes = max(cells // (4 * slots), 1)


def way_of(config, fmt, mode=Mode.ZERO):
    """The :class:`Way` of a format's steps, those of a sparse one in a mode."""
    its, cells = FORMATS[fmt], config.elements
    if its.sparse:
        return Way(config.parts, cells * 4 // its.code_bits, SLOTS[mode])
    if fmt == WeightFormat.S8:
        cells //= 2
    return Way(config.parts, cells, cells * config.parts)


class PartsTree(wiring.Component):
    """Add the products of one chain for one column, and break the chain where a row ends.

    Latency is two cycles, throughput one set of sums per cycle.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.
    slices : :class:`int`
        Rows of a payload of sums.

    Members
    -------
    totals : :py:`In(data.ArrayLayout(signed(17), config.elements // 2))`
        Sums of two cells each.
    nodes : :py:`In(PART_NODES(config))`
        Where the chain is broken. A cycle later than `totals`.
    rows : :py:`Out(data.ArrayLayout(signed(20), slices))`
        Sums of rows, or of parts of one, each at its place in the payload. Where the nodes say
        "two" or one, at all places that may have it.
    """

    LATENCY = 2

    def __init__(self, config, slices):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config, self.slices = config, slices
        super().__init__(
            {
                "totals": In(data.ArrayLayout(signed(PAIR_BITS), config.elements // 2)),
                "nodes": In(PART_NODES(config)),
                "rows": Out(data.ArrayLayout(signed(SUM_BITS), slices)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        # Sums of 2 and 4 cells are registered, those of more follow in the next cycle.
        levels = [list(self.totals)]
        while len(levels[-1]) > 1:
            sums = [a + b for a, b in zip(levels[-1][::2], levels[-1][1::2])]
            levels.append(sums)
            if len(levels) == 2:
                levels = [
                    [
                        Signal(s.shape(), name=f"sum_{level}_{n}", reset_less=True)
                        for n, s in enumerate(sums)
                    ]
                    for level, sums in enumerate(levels)
                ]
                m.d.sync += [a.eq(b) for a, b in zip(levels[0], self.totals)]
                m.d.sync += [a.eq(b) for a, b in zip(levels[1], sums)]

        for row in range(self.slices):
            with m.Switch(self.nodes.level):
                for level, sums in enumerate(levels):
                    with m.Case(1 << level):
                        m.d.sync += self.rows[row].eq(self._row(sums, row))
            if self.config.halved and row == 1:
                with m.If(self.nodes.whole):
                    m.d.sync += self.rows[1].eq(levels[-2][1])

        return m

    def _row(self, sums, row):
        """The sum that belongs to a row."""
        found = sums[0]
        if self.config.sparse and len(sums) >= 2:
            found = Mux(self.nodes.two, sums[row % 2], found)
        if self.config.sparse and len(sums) >= 4:
            fours = Array(sums[row::4])[self.nodes.quarter] if len(sums) > 4 else sums[row]
            found = Mux(self.nodes.four, fours, found)
        return found
