"""Weight side of the DSP chains."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import Config
from ..spec.isa import WeightFormat
from ..spec.sparse_modes import BLOCK, MODES, Mode
from .core import CORE_WEIGHTS, SIX, nibble, six_bits


__all__ = ["CHAIN_WEIGHTS", "lanes_of_chain", "has", "elements", "SlotSelect"]


U4, S8, TERNARY, SPARSE4, SPARSE8 = (
    WeightFormat[name] for name in ("U4", "S8", "TERNARY", "SPARSE4", "SPARSE8")
)

WIDE = "U5", "S6"  # six bits; code books of floats have five


def CHAIN_WEIGHTS(config):
    """What the DSP chains take of a step: a beat's codes, sparse ones as they are stored, with the
    indices of their slots in the lowest bits of each lane of `index`."""
    sparse = {"index": config.beat_bits, "mode": 3} if config.sparse else {}
    return data.StructLayout({**CORE_WEIGHTS(config).members, **sparse})


def lanes_of_chain(config):
    """Lanes that share a chain of multipliers: one where weights have six bits, too many for two
    products of a multiplier."""
    return 1 if config.has(lambda its: its.name in WIDE) else min(config.rows, 2)


def has(config, *patterns):
    """Whether the hardware takes blocks of one of these patterns."""
    return config.sparse and any(pattern in config.patterns for pattern in patterns)


def elements(config, cell):
    """Elements, of 16, that the slots of a cell of a chain may name: its own alone without sparse
    formats, none where there are no slots."""
    half = config.elements // 2
    if lanes_of_chain(config) == 1 and cell >= half and "SPARSE4" not in config.formats:
        return []
    if config.parts > 1:  # any, of one part or the other
        return list(range(BLOCK)) if config.sparse else []
    own = cell % BLOCK
    if has(config, "2:16", "4:16", "8:16"):
        return list(range(BLOCK))
    quad = [own % 8 // 2 * 4 + n for n in range(4)] if has(config, "2:4") else []
    return quad + [own] * (own not in quad)


class SlotSelect(wiring.Component):
    """Choose the weights of each cell, and which of the elements its activation is.

    A chain has :data:`~rtl.spec.numbers.GROUP` cells, or as many as a part of a step has elements.
    Where it serves two lanes, A and B, a cell may have two weights, `low` and `high`, for one
    activation:

    - U4, TERNARY, and formats of up to six bits: cell k has element k of lane A, and of lane B as
      `high`;
    - S8, SPARSE8: cell k < 16 has slot k of lane A, cell 16 + k slot k of lane B (a lane of S8 is
      16 slots, each for its own element);
    - SPARSE4: the same with slots 16 to 31 where `upper` is set; in a dense block, whose rows have
      the same elements, both at once, slot 16 + k as `high`.

    Where it serves one lane, cell k has element k or slot k of that lane, and `high` is zero.

    Latency is one cycle, throughput one step per cycle.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.

    Members
    -------
    weights : :py:`In(CHAIN_WEIGHTS(config))`
        Step.
    upper : :py:`In(1)`
        Take slots 16 to 31 of SPARSE4; slots 0 to 15 of everything else.
    cells : :py:`Out(data.ArrayLayout({"low": signed(8), "high": signed(5), "element": 4}, ...))`
        Weights of each chain's cells, and the place of the activation among its :func:`elements`.
    """

    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config, self.count = config, config.elements
        self.formats = set(config.weight_formats)
        self.lanes = lanes_of_chain(config)
        cell = data.StructLayout({"low": signed(8), "high": signed(5), "element": 4})
        super().__init__(
            {
                "weights": In(CHAIN_WEIGHTS(config)),
                "upper": In(1),
                "cells": Out(data.ArrayLayout(cell, config.rows // self.lanes * self.count)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        for n in range(len(self.cells)):
            low = Signal(signed(8), name=f"low_{n}", reset_less=True)
            high = Signal(signed(5), name=f"high_{n}", reset_less=True)
            element = Signal(4, name=f"element_{n}", reset_less=True)
            self._weights(m, n, low, high)
            if self.config.sparse and elements(self.config, n % self.count):
                m.d.sync += element.eq(self._element(m, n))
            m.d.comb += self.cells[n].as_value().eq(Cat(low, high, element))
        return m

    def _lane(self, of, cell):
        """Bits of a beat that are the own lane of `cell`, of the cells of all chains."""
        lane = cell // (self.count // self.lanes)
        return of.word_select(lane, 4 * self.count)

    def _slot(self, of, cell, bits):
        """What lies in a lane for the slot of `cell`, with `bits` bits a slot."""
        lane = self._lane(of, cell)
        if self.lanes == 1:
            return lane.word_select(cell % self.count, bits)
        slots = [lane.word_select(cell % BLOCK + n, bits) for n in (0, BLOCK)]
        return Mux(self.upper, slots[1], slots[0]) if SPARSE4 in self.formats else slots[0]

    def _weights(self, m, cell, low, high):
        def odd(code):
            # 2 * code - 15 is the code with a one after it, and the top bit turned into a sign.
            return Cat(1, code[:3], ~code[3]).as_signed()

        codes, chain, k = self.weights.codes, cell // self.count, cell % self.count
        half = self.count // 2
        # Nibbles of element k, in the chain's lanes.
        dense = [nibble(codes, self.count, self.lanes * chain + n, k) for n in range(self.lanes)]
        fields = {
            U4: [odd(code) for code in dense],
            TERNARY: [code.as_signed() for code in dense],
        }
        if self.config.high_bits:
            six = [
                six_bits(self.weights, self.count, self.lanes * chain + n, k)
                for n in range(self.lanes)
            ]
            fields |= dict.fromkeys(SIX, six)
        if SPARSE4 in self.formats:
            slot, both = self._slot(codes, cell, 4).as_signed(), []
            if self.lanes == 2:
                above = self._lane(codes, cell).word_select(BLOCK + k % BLOCK, 4).as_signed()
                both = [Mux(self.weights.mode == Mode.DENSE, above, 0)]
            fields[SPARSE4] = [slot, *both]
        with m.Switch(self.weights.format):
            for fmt in sorted(self.formats & set(fields), key=lambda f: f.value):
                with m.Case(fmt):
                    m.d.sync += [weight.eq(of) for weight, of in zip((low, high), fields[fmt])]
            with m.Default():  # S8, SPARSE8
                if self.lanes == 2 or k < half:
                    m.d.sync += low.eq(self._lane(codes, cell).word_select(k % half, 8))
                else:
                    m.d.sync += low.eq(0)
                m.d.sync += high.eq(0)

    def _element(self, m, cell):
        """Place of the cell's activation among its elements."""
        config, k = self.config, cell % self.count
        choices = elements(config, k)
        place = Signal(4, name=f"place_{cell}")
        m.d.comb += place.eq(self._own(k) if config.parts > 1 else choices.index(k % BLOCK))
        index = self.weights.index
        with m.If((self.weights.format == SPARSE4) | (self.weights.format == SPARSE8)):
            with m.Switch(self.weights.mode):
                for pattern in config.patterns:
                    with m.Case(MODES[pattern].value):
                        if pattern == "2:4":
                            if config.parts > 1:
                                quad = self._own(k)[1:3]
                            else:
                                quad = C(choices.index(k % 8 // 2 * 4) // 4, 2)
                            m.d.comb += place.eq(Cat(self._slot(index, cell, 2), quad))
                        else:
                            m.d.comb += place.eq(self._slot(index, cell, 4))
        return place

    def _own(self, k):
        """Element of cell k of the part that is at hand, in dense formats and blocks: what comes
        before are as many cells of other parts."""
        part = self.weights.part
        if SPARSE4 in self.formats:
            before = Mux(self.weights.format == SPARSE4, part << 1, part)
        else:
            before = part
        return (before * (self.count // 2) + k)[: (BLOCK - 1).bit_length()]
