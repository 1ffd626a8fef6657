"""Group scaling: integer sums of groups to exact sums of rows."""

from amaranth import *
from amaranth.lib import data, fifo, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.delay import delayed
from ..spec.config import Config
from ..spec.limits import ACC_BITS
from ..spec.payloads import group_scales
from .fifths import FIFTH_BITS
from .slices import Banks, fifth_rows


__all__ = ["GroupStep", "GroupScaler"]


HALF_SUM_BITS = 18  # 16 products of 6-bit weights and activations


def GroupStep(config, native):
    """Sums of one step of the linear core, or of a part of its rows, and all that scales them."""
    columns, banks = config.columns, Banks.of(config, native)
    shift = data.ArrayLayout(signed(6), columns)
    rows = fifth_rows(config, native)
    fifth = {
        "fifth": data.ArrayLayout(data.ArrayLayout(signed(FIFTH_BITS), rows), columns),
        "fifth_shift": shift,
    }
    return data.StructLayout(
        {
            "sums": data.ArrayLayout(data.ArrayLayout(signed(20), banks.lanes(config)), columns),
            **group_scales(config),
            "halved": int(config.halved),  # groups of 16
            "act_sums": data.ArrayLayout(signed(13), columns),
            "shift": shift,
            **(fifth if rows else {}),
            "centre_shift": 3,
            "slice": banks.slice_bits,  # of the tile, that the sums begin with
            "span": banks.span_bits,  # log2 of the slices that there are sums of
            "first": 1,  # first sums of these rows
            "last": 1,
        }
    )  # last sums of these rows


class GroupScaler(wiring.Component):
    """Scale the sums of groups and add them up: the exact integer of
    :func:`sw_ref.numerics.linear`.

    Per payload, row n and column m:

        term = sums[m][n] * scale[n] + (centre[n] << centre_shift) * act_sums[m]
        acc[m][n] = (0 if first else acc[m][n]) + (term << shift[m] if shift[m] >= 0 else 0)

    In groups of 16, where `centre` is the upper half's scale, sums[m][N + n] is that half's part of
    sums[m][n], and

        term = sums[m][n] * scale[n] + sums[m][N + n] * (centre[n] - scale[n])

    Where rows have sums of a part of the fifth step of TERNARY, too (:mod:`~.fifths`), these are
    shifted by `fifth_shift` and added. It is -1 in all else.

    A payload has the sums of 1, 2 or 4 slices of N rows of a tile. The accumulators of a slice are
    found as :class:`~.slices.Banks` says: registers, or, where a tile has many slices, small
    memories that are read and written in one cycle, so that payloads of one slice may follow each
    other at once. Lanes beyond `scaled_rows`, which no format with scales uses, have no
    multipliers.

    Latency is :attr:`latency` cycles from the last payload to `o`; throughput is one payload per
    cycle, and one slice per cycle at the output. Backpressure is respected: the data path never
    stops, but nothing is taken while :attr:`held` payloads wait at its end or are on the way there.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `rows` (N), `columns` (M), `formats` and `scaled_rows` are used.
    native : set of :class:`~rtl.spec.isa.WeightFormat`
        Formats that the linear core takes whole, rather than a slice of rows at a time.

    Attributes
    ----------
    latency : :class:`int`
        Cycles from the last payload of a slice to its sums.
    held : :class:`int`
        Payloads with finished rows that may wait.

    Members
    -------
    i : :py:`In(stream.Signature(GroupStep(config, native)))`
        Sums of each slice of a tile, from `first` to `last`. A payload begins with a slice whose
        number is a multiple of the payload's slices. In formats without scales of groups, `scale`
        is 1 and `centre` 0.
    o : :py:`Out(stream.Signature(data.ArrayLayout(data.ArrayLayout(signed(53), N), M)))`
        Sums of each slice of rows, by column and row, in the order of the `last` payloads.
    """

    def __init__(self, config, native):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        self.banks = Banks.of(config, native)
        self.fifth_rows = fifth_rows(config, native)
        # Operands, products, term, shifted, and, with the fifth step's, added; then the accumulator
        # and the FIFO.
        self.stages = 5 if self.fifth_rows else 4
        self.latency = self.stages + 2
        # A matrix of one group, in which every step ends a tile, is not held up. A tile that ends
        # in substeps has room for all of them.
        self.held = max(self.latency + 2, *self.banks.depths)
        super().__init__(
            {
                "i": In(stream.Signature(GroupStep(config, native))),
                "o": Out(
                    stream.Signature(
                        data.ArrayLayout(
                            data.ArrayLayout(signed(ACC_BITS), config.rows), config.columns
                        )
                    )
                ),
            }
        )

    def elaborate(self, platform):
        m = Module()
        banks, i = self.banks, self.i.p

        room = Signal(range(self.held + 1), init=self.held)
        step, end, give = Signal(), Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(room != 0),
            step.eq(self.i.valid & self.i.ready),
            end.eq(step & i.last),
        ]
        m.d.sync += room.eq(room - end + give)

        # What the accumulators need, as many cycles later as the data path takes to get there.
        stages = self.stages
        valid, ends = Signal(stages), Signal(stages + 1)
        m.d.sync += [valid.eq(Cat(step, valid)), ends.eq(Cat(end, ends))]
        first, places = (delayed(m, value, stages, reset_less=True) for value in (i.first, i.slice))
        span, base = (
            delayed(m, value, stages + 1, reset_less=True)
            for value in (i.span, i.slice[: banks.span_bits])
        )
        accs = []
        for bank, terms in enumerate(self._terms(m)):
            chosen, place = C(1), places
            if banks.spread:
                # The slices of a payload begin at a multiple of their number.
                own = (C(bank) >> i.span) == (i.slice[: banks.span_bits] >> i.span)
                chosen = delayed(m, own, stages, reset_less=True)
                place = places[banks.span_bits :]
            accs.append(self._accumulate(m, bank, terms, first, place, valid[-1] & chosen))

        # Finished rows, with what tells where among them the slices are.
        size = len(accs[0])
        tail = data.StructLayout({"span": banks.span_bits, "base": banks.span_bits})
        m.submodules.results = results = fifo.SyncFIFO(
            width=size * len(accs) + tail.size, depth=self.held
        )
        front = data.View(tail, results.r_data[size * len(accs) :])
        count = Signal(range(len(accs)))
        ended = Signal()
        m.d.comb += [
            results.w_data.eq(Cat(accs, span, base if banks.spread else C(0, banks.span_bits))),
            results.w_en.eq(ends[-1]),
            ended.eq(count == (1 << front.span) - 1),
            self.o.valid.eq(results.r_rdy),
            self.o.payload.as_value().eq(results.r_data.word_select(front.base + count, size)),
            give.eq(self.o.valid & self.o.ready & ended),
            results.r_en.eq(give),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += count.eq(Mux(ended, 0, count + 1))

        return m

    def _terms(self, m):
        """Add the data path up to the accumulators: `stages` registers. Returns what is added to
        them, lists of signed values for each bank, by column and row."""

        def register(shape, name):
            return Signal(shape, name=name, reset_less=True)

        i, config = self.i.p, self.config
        rows, columns, banks = (
            range(config.rows),
            range(config.columns),
            range(len(self.banks.depths)),
        )

        scale, centre = [], []
        for lane in range(config.scaled_rows):
            scale.append(register(i.scale[lane].shape(), f"scale_{lane}"))
            centre.append(register(signed(15), f"centre_{lane}"))
            m.d.sync += [
                scale[lane].eq(i.scale[lane]),
                centre[lane].eq(i.centre[lane] << i.centre_shift),
            ]
            if config.halved:
                with m.If(i.halved):
                    m.d.sync += centre[lane].eq(i.centre[lane] - i.scale[lane])

        terms = [[] for _ in banks]
        for c in columns:
            act_sum = register(signed(13), f"act_sum_{c}")
            m.d.sync += act_sum.eq(i.act_sums[c])
            shift = delayed(m, i.shift[c], 3, reset_less=True)
            fifths = self._fifths(m, c)
            for bank in banks:
                for n in rows:
                    lane = bank * config.rows + n
                    group_sum = register(signed(20), f"sum_{c}_{lane}")
                    m.d.sync += group_sum.eq(self._sum(c, bank, n))
                    if lane < config.scaled_rows:
                        scaled = register(signed(28), f"scaled_{c}_{lane}")
                        offset = register(signed(28), f"offset_{c}_{lane}")
                        term = register(signed(29), f"term_{c}_{lane}")
                        m.d.sync += [
                            scaled.eq(group_sum * scale[lane]),
                            offset.eq(centre[lane] * self._second(m, c, bank, n, act_sum)),
                            term.eq(scaled + offset),
                        ]
                    else:
                        term = delayed(m, group_sum, 2, reset_less=True)
                    shifted = register(signed(len(term) + 15), f"shifted_{c}_{lane}")
                    m.d.sync += shifted.eq(Mux(shift[-1], 0, term << shift[:4]))
                    fifth = bank * config.rows + n if not self.banks.spread else n
                    if fifth < len(fifths):
                        whole = register(signed(len(shifted) + 1), f"whole_{c}_{lane}")
                        m.d.sync += whole.eq(shifted + fifths[fifth])
                        shifted = whole
                    elif fifths:
                        shifted = delayed(m, shifted, 1, reset_less=True)
                    terms[bank].append(shifted)
        return terms

    def _fifths(self, m, column):
        """What rows have of the fifth step, shifted: four registers."""
        if not self.fifth_rows:
            return []
        i, found = self.i.p, []
        shift = delayed(m, i.fifth_shift[column], 3, reset_less=True)
        for row, value in enumerate(i.fifth[column]):
            value = delayed(m, value, 3, reset_less=True)
            found.append(
                Signal(signed(FIFTH_BITS + 15), name=f"fifth_{column}_{row}", reset_less=True)
            )
            m.d.sync += found[-1].eq(Mux(shift[-1], 0, value << shift[:4]))
        return found

    def _second(self, m, column, bank, row, act_sum):
        """What the centre is multiplied with: the sum of the activations, or of an upper half."""
        if bank or not self.config.halved:
            return act_sum
        i, rows = self.i.p, self.config.rows
        second = Signal(signed(HALF_SUM_BITS), name=f"second_{column}_{row}", reset_less=True)
        m.d.sync += second.eq(Mux(i.halved, i.sums[column][rows + row], i.act_sums[column]))
        return second

    def _sum(self, column, bank, row):
        """The sum for a lane: a payload's slices begin in the first lanes, wherever they belong."""
        i, rows = self.i.p, self.config.rows
        value = i.sums[column][bank * rows + row]
        if self.banks.spread:
            for span in reversed(range(self.banks.span_bits)):
                value = Mux(i.span == span, i.sums[column][bank % (1 << span) * rows + row], value)
        return value

    def _accumulate(self, m, bank, terms, first, place, valid):
        """Add a bank of accumulators. Returns those of the place one cycle later."""
        depth = self.banks.depths[bank]
        accs = Signal(ACC_BITS * len(terms), name=f"accs_{bank}", reset_less=True)
        old, new = Signal.like(accs, name=f"old_{bank}"), Signal.like(accs, name=f"new_{bank}")
        m.d.comb += new.eq(
            Cat(
                (Mux(first, 0, old.word_select(n, ACC_BITS).as_signed()) + term)[:ACC_BITS]
                for n, term in enumerate(terms)
            )
        )
        if depth == 1:
            m.d.comb += old.eq(accs)
            with m.If(valid):
                m.d.sync += accs.eq(new)
            return accs
        m.submodules[f"bank_{bank}"] = cells = memory.Memory(shape=len(accs), depth=depth, init=[])
        read, write = cells.read_port(domain="comb"), cells.write_port()
        m.d.comb += [
            read.addr.eq(place),
            old.eq(read.data),
            write.addr.eq(place),
            write.data.eq(new),
            write.en.eq(valid),
        ]
        m.d.sync += accs.eq(new)
        return accs
