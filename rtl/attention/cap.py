"""Cap of scores, as Gemma 2 has it (arXiv:2408.00118)."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..bus.delay import delayed
from ..spec.numbers import SCORE_BITS
from ..spec.score_cap import EXTRA, PIECES, curve
from .scores import Score


__all__ = ["ScoreCap"]


class ScoreCap(wiring.Component):
    """Cap scores, or let them pass.

    Computes :func:`sw_ref.attention.capped`, bit for bit, on magnitudes: a table has the start and
    the slope of each straight piece. A score that passes is a piece of its own that begins at its
    magnitude, and is flat.

    Throughput is one score per query and cycle, without stalls. Latency is `LATENCY` cycles.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `queries` and `score_cap`, which is not 0, are used.

    Members
    -------
    enable : :py:`In(1)`
        Cap. Stays while there are scores within.
    i : :py:`In(stream.Signature(Score(config), always_ready=True))`
        Scores.
    o : :py:`Out(stream.Signature(Score(config), always_ready=True))`
        The same, capped.
    """

    LATENCY = 7

    def __init__(self, config):
        if not config.score_cap:
            raise ValueError(f"config must have a score_cap, not {config.score_cap!r}")
        self.config = config
        scores = stream.Signature(Score(config), always_ready=True)
        super().__init__({"enable": In(1), "i": In(scores), "o": Out(scores)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [
            self.o.valid.eq(delayed(m, self.i.valid, self.LATENCY)),
            beside(self.o.p).eq(delayed(m, beside(self.i.p), self.LATENCY, reset_less=True)),
        ]
        for q in range(self.config.queries):
            m.d.comb += self.o.p.scores[q].eq(self.capped(m, q, self.i.p.scores[q]))
        return m

    def capped(self, m, q, score):
        """The score of a query, capped, `LATENCY` cycles later."""
        its = curve(self.config.score_cap)
        piece = data.StructLayout(
            {"start": its.nodes[-1].bit_length(), "slope": max(its.slopes).bit_length()}
        )
        place_bits = its.shift
        piece_bits = PIECES.bit_length() - 1

        magnitude = Signal(SCORE_BITS, name=f"magnitude{q}", reset_less=True)
        limited = Signal(piece_bits + place_bits, name=f"limited{q}", reset_less=True)
        m.d.sync += [
            magnitude.eq(abs(score)),
            limited.eq(magnitude | (magnitude >> len(limited)).any().replicate(len(limited))),
        ]
        table = m.submodules[f"table{q}"] = Memory(
            shape=piece,
            depth=PIECES,
            init=[{"start": a, "slope": b} for a, b in zip(its.nodes, its.slopes)],
        )
        port = table.read_port()
        m.d.comb += [port.addr.eq(limited[place_bits:]), port.en.eq(1)]

        start = Signal(SCORE_BITS + EXTRA, name=f"start{q}", reset_less=True)
        slope = Signal(piece["slope"].width, name=f"slope{q}", reset_less=True)
        place = Signal(place_bits, name=f"place{q}", reset_less=True)
        m.d.sync += [
            start.eq(
                Mux(
                    self.enable,
                    port.data.start,
                    delayed(m, magnitude, 2, reset_less=True) << EXTRA,
                )
            ),
            slope.eq(Mux(self.enable, port.data.slope, 0)),
            place.eq(delayed(m, limited[:place_bits], 1, reset_less=True)),
        ]
        product = Signal(len(slope) + place_bits, name=f"product{q}", reset_less=True)
        total = Signal(SCORE_BITS + EXTRA, name=f"total{q}", reset_less=True)
        half = 1 << EXTRA - 1
        m.d.sync += [
            product.eq(slope * place),
            total.eq(delayed(m, start + half, 1, reset_less=True) + (product >> place_bits)),
        ]
        value = Signal(signed(SCORE_BITS), name=f"value{q}", reset_less=True)
        negative = delayed(m, score[-1], self.LATENCY - 1, reset_less=True)
        rounded = total >> EXTRA
        m.d.sync += value.eq(Mux(negative, -rounded, rounded))
        return value


def beside(score):
    """All of a score's fields but the scores."""
    return Cat(score.exponent, score.open, score.close, score.first, score.last)
