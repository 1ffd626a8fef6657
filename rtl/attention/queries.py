"""Query buffer: double-buffered query vectors of a KV head."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..bus.delay import delayed
from ..spec.limits import HEAD_BITS, QUERY_BITS
from ..spec.payloads import Quantized


__all__ = ["QueryCommand", "QueryBuffer"]


QueryCommand = data.StructLayout({"heads": HEAD_BITS, "queries": QUERY_BITS})


class QueryBuffer(wiring.Component):
    """Collect the query heads of one KV head after the other, in two banks in turn.

    Takes one run per cycle while a bank is empty. Groups that no command asked for are not taken.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `queries`, `head_dim`, `beat_bits` and `lanes` are used.

    Members
    -------
    command : :py:`In(stream.Signature(QueryCommand))`
        KV heads to come, and query heads of each. Taken when the groups of the last are complete.
    i : :py:`In(stream.Signature(Quantized(config)))`
        Groups of `head_dim` 16-bit values.
    full : :py:`Out(2)`
        Banks that hold all queries of a KV head. Bank 0 is filled first.
    bank, chunk : :py:`In(1)`, :py:`In(range(head_dim / beat_bytes))`
        Values to read: elements chunk * beat_bytes and following.
    release : :py:`In(1)`
        What `bank` holds is read for the last time.
    values : :py:`Out(signed(16)).array(queries, beat_bytes)`
        Values of every query head, a cycle after `bank` and `chunk`.
    exponents : :py:`Out(8).array(queries)`
        Biased exponents, a cycle after `bank`.
    """

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "command": In(stream.Signature(QueryCommand)),
                "i": In(stream.Signature(Quantized(config))),
                "full": Out(2),
                "bank": In(1),
                "chunk": In(range(config.head_dim // config.beat_bytes)),
                "release": In(1),
                "values": Out(signed(16)).array(config.queries, config.beat_bytes),
                "exponents": Out(8).array(config.queries),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lanes, width = self.config.lanes, self.config.beat_bytes
        # Words have whole runs, and whole chunks; powers of two, as everything here.
        runs, parts = max(1, width // lanes), max(1, lanes // width)
        words = self.config.head_dim // (runs * lanes)

        heads = Signal(HEAD_BITS)
        queries = Signal(QUERY_BITS, reset_less=True)
        bank = Signal()
        group = Signal(QUERY_BITS)
        word = Signal(range(words))
        run = Signal(range(runs))
        taken = Signal()
        m.d.comb += [
            self.command.ready.eq(heads == 0),
            self.i.ready.eq((heads != 0) & ~self.full.bit_select(bank, 1)),
            taken.eq(self.i.valid & self.i.ready),
        ]
        with m.If(self.command.valid & self.command.ready):
            m.d.sync += [heads.eq(self.command.p.heads), queries.eq(self.command.p.queries)]

        with m.If(self.release):
            m.d.sync += self.full.bit_select(self.bank, 1).eq(0)
        with m.If(taken):
            m.d.sync += Cat(run, word).eq(Cat(run, word) + 1)
            with m.If(self.i.p.last):
                m.d.sync += group.eq(group + 1)
                with m.If(group == queries - 1):
                    m.d.sync += [
                        group.eq(0),
                        heads.eq(heads - 1),
                        bank.eq(~bank),
                        self.full.bit_select(bank, 1).eq(1),
                    ]

        part_bits = parts.bit_length() - 1
        part = delayed(m, self.chunk[:part_bits], 1, reset_less=True)
        layout = data.ArrayLayout(data.ArrayLayout(signed(16), lanes), runs)
        for q in range(self.config.queries):
            memory = m.submodules[f"values{q}"] = Memory(shape=layout, depth=2 * words, init=[])
            write_port = memory.write_port(granularity=1)
            read_port = memory.read_port()
            m.d.comb += [
                write_port.addr.eq(Cat(word, bank)),
                write_port.data.as_value().eq(self.i.p.values.as_value().replicate(runs)),
                write_port.en.eq((taken & (group == q)) << run),
                read_port.addr.eq(Cat(self.chunk[part_bits:], self.bank)),
            ]
            values = read_port.data.as_value().word_select(part, 16 * width)
            m.d.comb += [self.values[q][n].eq(values[16 * n : 16 * n + 16]) for n in range(width)]

            exponents = Array(Signal(8, name=f"exponent{q}_{n}", reset_less=True) for n in range(2))
            with m.If(taken & self.i.p.last & (group == q)):
                m.d.sync += exponents[bank].eq(self.i.p.exponent)
            m.d.sync += self.exponents[q].eq(exponents[self.bank])

        return m
