"""Sums of the fifth step's elements, a part at a time."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..cores.carried import Carried
from ..spec.config import GROUP, Config


__all__ = ["FIFTH_BITS", "PART", "FifthSums"]


PART = GROUP // 4  # elements of a row that a step carries of the fifth step
FIFTH_BITS = 12  # of a sum of eight activations, from -1024 to 1024, never 1024 and all negative


class FifthSums(wiring.Component):
    """Add and subtract the activations that ternary weights of the fifth step select.

    Bytes of TERNARY have five trits, and steps take four (:mod:`rtl.spec.formats.ternary`). What is
    left over of the beats of four steps is a fifth step, of which each beat has eight elements a
    row. They are added up here while the core multiplies the beat's own step: so a beat takes a
    cycle, and the core as many multipliers as a step of its own has.

    Latency is :attr:`LATENCY` cycles, throughput one part per cycle, without stalls.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `columns` are used.
    rows : :class:`int`
        Rows of a part.

    Members
    -------
    trits : :py:`In(data.ArrayLayout(16, rows))`
        Of each row (weight >= 0) of the elements, then (weight > 0).
    acts : :py:`In(data.ArrayLayout(data.ArrayLayout(signed(8), 8), columns))`
        Activations of each column, from -127 to 127.
    sums : :py:`Out(data.ArrayLayout(data.ArrayLayout(signed(12), rows), columns))`
        Sums by column and row.
    """

    LATENCY = PART.bit_length() + 1  # terms, tree, the last carry

    def __init__(self, config, rows):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config, self.rows = config, rows
        acts = data.ArrayLayout(data.ArrayLayout(signed(8), PART), config.columns)
        sums = data.ArrayLayout(data.ArrayLayout(signed(FIFTH_BITS), rows), config.columns)
        super().__init__(
            {"trits": In(data.ArrayLayout(2 * PART, rows)), "acts": In(acts), "sums": Out(sums)}
        )

    def elaborate(self, platform):
        m = Module()
        for column, acts in enumerate(self.acts):
            for row, trits in enumerate(self.trits):
                name = f"{column}_{row}"
                terms = []
                for k, act in enumerate(acts):
                    negative, positive = ~trits[k], trits[PART + k]
                    used = (negative | positive).replicate(8)
                    value = (act.as_unsigned() & used) ^ negative.replicate(8)
                    term = Carried(value.as_signed(), negative, 128)
                    terms.append(term.registered(m, f"term_{name}_{k}"))
                while len(terms) > 1:
                    terms = [
                        (a + b).registered(m, f"sum_{name}_{len(terms)}_{n}")
                        for n, (a, b) in enumerate(zip(terms[::2], terms[1::2]))
                    ]
                m.d.sync += self.sums[column][row].eq(terms[0].total)
        return m
