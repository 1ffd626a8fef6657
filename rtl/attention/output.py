"""Writes the results of attention to the vector memory."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.delay import delayed
from ..bus.skid import SkidBuffer
from ..fp.from_int import IntToFp
from ..spec.limits import HEAD_BITS, NUMERATOR_BITS, QUERY_BITS
from ..spec.payloads import vector_write
from .accumulate import SumWords, words_at_once


__all__ = ["OutputCommand", "AttentionOutput"]


BIAS = -133  # of the numerators: see sw_ref.attention


def OutputCommand(config):
    """Lines of the vector memory where numerators and denominators go."""
    line = vector_write(config)["line"].shape
    return data.StructLayout({"heads": HEAD_BITS, "queries": QUERY_BITS, "dst": line, "sums": line})


class AttentionOutput(wiring.Component):
    """Convert numerators and denominators to fp32, and write them as they come.

    A denominator fills a line; numerators are written to their part of one. Throughput is one
    payload per cycle, latency three cycles.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `queries`, `head_dim`, `beat_bits` and `lanes` are used.

    Members
    -------
    command : :py:`In(stream.Signature(OutputCommand(config)))`
        KV heads to come. Taken when all of the last are written.
    busy : :py:`Out(1)`
        From the cycle after `command` is taken until all is written.
    i : :py:`In(stream.Signature(SumWords(config)))`
        Sums. A KV head ends with the denominator of its last query.
    write : :py:`Out(stream.Signature(vector_write(config)))`
        Lines to write, or parts of them.
    """

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "command": In(stream.Signature(OutputCommand(config))),
                "busy": Out(1),
                "i": In(stream.Signature(SumWords(config))),
                "write": Out(stream.Signature(vector_write(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lanes, words = self.config.lanes, words_at_once(self.config)
        parts = lanes // words
        line_shift = (self.config.head_dim // lanes - 1).bit_length()

        # Skid buffer: the vector memory's `ready` arrives late, and would reach the accumulators.
        m.submodules.skid = skid = SkidBuffer(self.write.p.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.write))
        write = skid.i
        en = Signal()
        m.d.comb += en.eq(write.ready | ~write.valid)

        heads = Signal(HEAD_BITS)
        queries = Signal(QUERY_BITS, reset_less=True)
        dst = Signal(self.write.p.line.shape(), reset_less=True)
        sums = Signal(self.write.p.line.shape(), reset_less=True)

        it = self.i.p
        taken = Signal()
        part, place = it.place[: (parts - 1).bit_length()], it.place[(parts - 1).bit_length() :]
        m.d.comb += [self.i.ready.eq(en), taken.eq(self.i.valid & en)]
        with m.If(taken & it.denominator & (it.query == queries - 1)):
            m.d.sync += [
                heads.eq(heads - 1),
                dst.eq(dst + (queries << line_shift)),
                sums.eq(sums + queries),
            ]
        with m.If(self.command.valid & self.command.ready):
            m.d.sync += [
                heads.eq(self.command.p.heads),
                queries.eq(self.command.p.queries),
                dst.eq(self.command.p.dst),
                sums.eq(self.command.p.sums),
            ]

        # One stage after the other: the address and the offset, the line, and what follows.
        base, offset = Signal.like(dst, reset_less=True), Signal.like(dst, reset_less=True)
        line = Signal.like(dst, reset_less=True)
        with m.If(en):
            m.d.sync += [
                base.eq(Mux(it.denominator, sums, dst)),
                offset.eq(Mux(it.denominator, it.query, Cat(place, it.query))),
                line.eq(base + offset),
            ]
        mask = Cat((it.denominator | (part == n // words)) for n in range(lanes))

        valids = [self.i.valid]
        for _ in range(IntToFp.LATENCY):
            valids.append(delayed(m, valids[-1], 1, en=en))
        m.d.comb += [
            write.valid.eq(valids[-1]),
            write.p.line.eq(delayed(m, line, IntToFp.LATENCY - 2, en=en, reset_less=True)),
            write.p.mask.eq(delayed(m, mask, IntToFp.LATENCY, en=en, reset_less=True)),
            self.busy.eq((heads != 0) | Cat(valids[1:]).any() | self.write.valid),
            self.command.ready.eq(~self.busy),
        ]
        for n in range(words):
            to_fp = m.submodules[f"to_fp{n}"] = IntToFp(NUMERATOR_BITS)
            m.d.comb += [
                to_fp.i.eq(it.words[n]),
                to_fp.exponent.eq(Mux(it.denominator, 0, BIAS + it.exponent)),
                to_fp.en.eq(en),
            ]
            m.d.comb += [write.p.data[lane].eq(to_fp.o) for lane in range(n, lanes, words)]

        return m
