"""Writes the results of attention to the vector memory."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.delay import delayed
from ..bus.skid import SkidBuffer
from ..fp.from_int import IntToFp
from ..spec.limits import DENOMINATOR_BITS, HEAD_BITS, NUMERATOR_BITS, QUERY_BITS
from ..spec.payloads import vector_write


__all__ = ["OutputCommand", "AttentionOutput"]


BIAS = -133  # of the numerators: see sw_ref.attention


def OutputCommand(config):
    """Lines of the vector memory where numerators and denominators go."""
    line = vector_write(config)["line"].shape
    return data.StructLayout({"heads": HEAD_BITS, "queries": QUERY_BITS, "dst": line, "sums": line})


class AttentionOutput(wiring.Component):
    """Convert numerators and denominators to fp32 and write them, query head by query head.

    Throughput is one line per cycle: a KV head takes queries * (head_dim / lanes + 1) cycles.
    Latency is five cycles.

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
    result : :py:`In(stream.Signature(data.ArrayLayout(8, queries)))`
        Sums of a KV head are ready to be read; their exponents. Taken when they have been read.
    chunk : :py:`Out(range(head_dim / beat_bytes))`
        Numerators to read in the next cycle.
    numerators, denominators : :py:`In(signed(40)).array(queries, beat_bytes)`, \
            :py:`In(32).array(queries)`
        Sums.
    write : :py:`Out(stream.Signature(vector_write(config)))`
        Lines to write.
    """

    LATENCY = 2 + IntToFp.LATENCY

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "command": In(stream.Signature(OutputCommand(config))),
                "busy": Out(1),
                "result": In(stream.Signature(data.ArrayLayout(8, config.queries))),
                "chunk": Out(range(config.head_dim // config.beat_bytes)),
                "numerators": In(signed(NUMERATOR_BITS)).array(config.queries, config.beat_bytes),
                "denominators": In(DENOMINATOR_BITS).array(config.queries),
                "write": Out(stream.Signature(vector_write(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lanes, width = self.config.lanes, self.config.beat_bytes
        runs = width // lanes

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

        # Lines are read run by run, chunk by chunk, then the denominator; query by query.
        run = Signal(range(runs))
        chunk = Signal.like(self.chunk)
        query = Signal(QUERY_BITS)
        sum_ = Signal()
        step, last = Signal(), Signal()
        at = Cat(run, chunk)
        following = Signal(len(at))
        m.d.sync += at.eq(following)
        m.d.comb += [
            following.eq(at),
            self.chunk.eq(following[len(run) :]),
            step.eq(self.result.valid & en),
            last.eq(sum_ & (query == queries - 1)),
            self.result.ready.eq(en & last),
        ]
        with m.If(step):
            with m.If(sum_):
                m.d.sync += [sum_.eq(0), query.eq(Mux(last, 0, query + 1))]
            with m.Else():
                m.d.comb += following.eq(at + 1)
                m.d.sync += sum_.eq(at.all())
            with m.If(last):
                m.d.sync += heads.eq(heads - 1)

        picked_query, picked_sum, lane_values, bias = self.pick(m, run, query, sum_, en)
        valids = [step]
        for _ in range(self.LATENCY):
            valids.append(delayed(m, valids[-1], 1, en=en))
        is_sum = delayed(m, picked_sum, self.LATENCY - 1, en=en, reset_less=True)
        m.d.comb += [
            write.valid.eq(valids[-1]),
            write.p.line.eq(Mux(is_sum, sums, dst)),
            write.p.mask.eq(~0),
            self.busy.eq((heads != 0) | Cat(valids).any() | self.write.valid),
            self.command.ready.eq(~self.busy),
        ]
        for n in range(lanes):
            to_fp = m.submodules[f"to_fp{n}"] = IntToFp(NUMERATOR_BITS)
            with m.If(en):
                value = Signal(signed(NUMERATOR_BITS), name=f"value{n}", reset_less=True)
                m.d.sync += value.eq(Array(lane_values[n])[picked_query])
            m.d.comb += [
                to_fp.i.eq(value),
                to_fp.exponent.eq(bias),
                to_fp.en.eq(en),
                write.p.data[n].eq(to_fp.o),
            ]

        with m.If(write.valid & write.ready):
            with m.If(is_sum):
                m.d.sync += sums.eq(sums + 1)
            with m.Else():
                m.d.sync += dst.eq(dst + 1)
        with m.If(self.command.valid & self.command.ready):
            m.d.sync += [
                heads.eq(self.command.p.heads),
                queries.eq(self.command.p.queries),
                dst.eq(self.command.p.dst),
                sums.eq(self.command.p.sums),
            ]

        return m

    def pick(self, m, run, query, sum_, en):
        """Pick the run for every query in one cycle, and the query in the next.

        Returns the query, whether it is its denominator that was picked, for each lane the values
        of all queries, and the query's exponent.
        """
        lanes = self.config.lanes
        picked_query = delayed(m, query, 1, en=en, reset_less=True)
        picked_sum = delayed(m, sum_, 1, en=en, reset_less=True)
        bias = Signal(signed(11), reset_less=True)
        lane_values = [[] for _ in range(lanes)]
        exponents = []
        for q in range(self.config.queries):
            exponent = Signal(8, name=f"exponent{q}", reset_less=True)
            with m.If(en):
                m.d.sync += exponent.eq(self.result.payload[q])
            exponents.append(exponent)
            for n in range(lanes):
                picked = Signal(signed(NUMERATOR_BITS), name=f"picked{q}_{n}", reset_less=True)
                numerator = Array(self.numerators[q][n::lanes])[run]
                with m.If(en):
                    m.d.sync += picked.eq(Mux(sum_, self.denominators[q], numerator))
                lane_values[n].append(picked)
        with m.If(en):
            m.d.sync += bias.eq(Mux(picked_sum, 0, BIAS + Array(exponents)[picked_query]))
        return picked_query, picked_sum, lane_values, bias
