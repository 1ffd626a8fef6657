"""Decoding of nibbles, and of the bits that belong to them, to what cores take."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import GROUP, SIX_BITS, Config
from ..spec.formats import FORMATS
from ..spec.isa import WeightFormat
from ..spec.numbers import LANE_BYTES


__all__ = ["NIBBLES", "NibbleDecoder"]


NIBBLES = (*SIX_BITS, "IQ4")  # formats that it decodes; the codes of others pass
LANE = 8 * LANE_BYTES  # bits of a row
HALF = GROUP // 2


class NibbleDecoder(wiring.Component):
    """Turn codes into signed integers: of six bits, or of eight for half a group.

    - U5: 2 * code - 31;
    - S6: the code, which is one;
    - FP4, FP4_16: the code's integer in the book;
    - IQ4: the book's bytes of the 16 codes in the low or the high nibbles, elements 0 to 15 or 16
      to 31, as steps of S8 have them.

    Combinational: a level of LUTs for a book, and one that chooses.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator. The hardware has what its `formats` need.

    Members
    -------
    format : :py:`In(WeightFormat)`
        Format of the step.
    half : :py:`In(1)`
        Take the high nibbles (IQ4).
    nibbles : :py:`In(config.word_bits)`
        A beat, as it lies in DRAM.
    high : :py:`In(config.word_bits)`
        The step's high bits, lowest in each row's 128, where the configuration has any.
    codes : :py:`Out(config.word_bits)`
        Codes of the step: see :class:`~rtl.spec.payloads.WeightStep`.
    step_high : :py:`Out(config.high_bits)`
        The bits beyond nibbles.
    """

    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        super().__init__(
            {
                "format": In(WeightFormat),
                "half": In(1),
                "nibbles": In(config.word_bits),
                "high": In(config.word_bits if config.high_bits else 0),
                "codes": Out(config.word_bits),
                "step_high": Out(config.high_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        rows = [self._row(m, row) for row in range(self.config.rows)]
        m.d.comb += [
            self.codes.eq(Cat(codes for codes, _ in rows)),
            self.step_high.eq(Cat(high for _, high in rows)),
        ]
        return m

    def _row(self, m, row):
        """Codes of a row, and its bits beyond nibbles."""
        lane = self.nibbles.word_select(row, LANE)
        low, high = [C(0, 4)] * GROUP, [C(0, 2)] * GROUP
        for k in range(GROUP):
            value = self._integer(m, row, k, lane.word_select(2 * (k % HALF) + k // HALF, 4))
            low[k], high[k] = value[:4], value[4:]
        codes = Cat(Cat(low[k], low[HALF + k]) for k in range(HALF))
        if "IQ4" in self.config.formats:
            is_book = Signal(name=f"is_book_{row}")
            m.d.comb += is_book.eq(self.format == WeightFormat.IQ4)
            bytes_ = [self._book_byte(m, row, k, lane.word_select(k, 8)) for k in range(HALF)]
            codes = Mux(is_book, Cat(bytes_), codes)
        return codes, Cat(high) if self.config.high_bits else C(0, 0)

    def _integer(self, m, row, k, nibble):
        """Element k, six bits; those of formats that pass are the nibble's."""
        value = Signal(6, name=f"value_{row}_{k}")
        m.d.comb += value.eq(nibble)
        with m.Switch(self.format):
            if "U5" in self.config.formats:
                with m.Case(WeightFormat.U5):
                    # The code with a one after it, and the top bit turned into a sign.
                    fifth = self.high[LANE * row + k]
                    m.d.comb += value.eq(Cat(1, nibble, ~fifth))
            if "S6" in self.config.formats:
                with m.Case(WeightFormat.S6):
                    upper = self.high[LANE * row + 2 * k : LANE * row + 2 * k + 2]
                    m.d.comb += value.eq(Cat(nibble, upper))
            for name in ("FP4", "FP4_16"):
                if name in self.config.formats:
                    with m.Case(WeightFormat[name]):
                        m.d.comb += value.eq(self._book(name, nibble))
        return value

    def _book_byte(self, m, row, k, codes):
        """The book's byte of a code of IQ4."""
        nibble = Signal(4, name=f"nibble_{row}_{k}")
        m.d.comb += nibble.eq(Mux(self.half, codes[4:], codes[:4]))
        return self._book("IQ4", nibble)[:8]

    def _book(self, name, nibble):
        """The integer that a code names."""
        book = FORMATS[WeightFormat[name]].book
        return Array(C(value, signed(8)) for value in book)[nibble].as_signed()
