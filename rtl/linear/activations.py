"""The activation buffer."""

from amaranth import *
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ..cores.tables import TABLE, TABLES, SignTable
from ..spec.config import GROUP, Config
from ..spec.limits import GROUP_BITS
from ..spec.numbers import WINDOW
from ..spec.payloads import ActivationWrite, fifth_step


__all__ = ["ActivationRead", "Activations", "ActivationBuffer"]


HALF = GROUP // 2


def ActivationRead(config):
    """Read of what a step takes, or a part of one. `split`: half of the group is wanted, its
    elements 16-31 if `half`; and, if `fifth`, the elements 4 j + `place` of `fifth_group`."""
    fifth = {**fifth_step(config), "fifth_group": GROUP_BITS} if config.aside else {}
    return data.StructLayout(
        {"group": GROUP_BITS, "half": 1, "split": 1, "part": range(config.parts), **fifth}
    )


def Activations(config, inputs=1, elements=None):
    """What a step of the linear core, or a part of one, takes of each column, and its group's sum
    and shift; what its part of the fifth step takes, and that group's shift."""
    columns, shift = config.columns, data.ArrayLayout(signed(6), config.columns)
    fifth = {
        "fifth": data.ArrayLayout(data.ArrayLayout(signed(8), GROUP // 4), columns),
        "fifth_shift": shift,
    }
    return data.StructLayout(
        {
            "tables": data.ArrayLayout(TABLES(inputs, elements or config.elements), columns),
            "sums": data.ArrayLayout(signed(13), columns),
            "shift": shift,
            **(fifth if config.aside else {}),
        }
    )


class ActivationBuffer(wiring.Component):
    """Buffer quantized activation vectors, one per column.

    A group is one word, or, where steps come in parts, a word for the elements of each: some of its
    lower half, and as many of its upper. Of parts of fewer elements than a run of writes has, a
    word holds several. Beside a group are its exponent and the sum of its values, which a matrix's
    centres are multiplied by. The largest exponent of each vector is a register: a group's sums are
    shifted by the distance to it (:func:`sw_ref.numerics.group_shift`).

    For a core of lookup tables, a group is stored as its tables. They are built once per vector, as
    it comes from the quantizer, while the core still works on the last matrix: the fused
    precomputation of LUT Tensor Core (arXiv:2408.06003). A table of two activations has two entries
    of nine bits, which use the parity bits of block RAMs.

    Where fifth steps pass beside the others (`aside`), a second port reads what a step carries of
    one (:mod:`~.fifths`). An activation is half the sum, or difference, of two entries of a table.

    Reads have a latency of two cycles and a throughput of one per cycle; backpressure is respected.
    A write is accepted every cycle, and visible in reads and `top` two cycles later.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.
    inputs : :class:`int`
        Activations per table: 1, 2 or 4. One: activations are kept as they are.
    elements : :class:`int`
        Elements of a read: those of a part of a step, or a whole group.

    Members
    -------
    write : :py:`In(stream.Signature(ActivationWrite(config)))`
        Values of a group, in order and without those of another group in between. `exponent` is
        the same in all runs of a group. `clear` begins a vector: `top` of the column starts anew.
    read : :py:`In(stream.Signature(ActivationRead(config)))`
        A group, or half a group, or a part of it.
    o : :py:`Out(stream.Signature(Activations(config, inputs, elements)))`
        `tables` are the group's, or the half's, twice, or of these the part's elements of the lower
        half and of the upper; `sums` are the group's; `shift` is 0 to 15, or -1 for a group that is
        too small to count. `fifth_shift` is -1 where there was no `fifth`, and `fifth` does not
        matter.
    top : :py:`Out(data.ArrayLayout(8, config.columns))`
        Largest biased exponent of each column's vector.
    """

    def __init__(self, config, inputs=1, elements=None):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.own = (elements or config.elements) // 2  # of each half of a group
        most = min(config.lanes, self.own)
        if inputs not in (1, 2, 4) or inputs > most:
            raise ValueError(
                f"Inputs of a table must be 1, 2 or 4, and at most {most}, the lanes and half a "
                f"part's elements, not {inputs!r}"
            )
        self.config, self.inputs = config, inputs
        # Of each half of a group, a word has as many; parts are inside of a word, or words of it.
        self.chunk = max(self.own, config.lanes)
        self.words, self.inside = HALF // self.chunk, self.chunk // self.own
        super().__init__(
            {
                "write": In(stream.Signature(ActivationWrite(config))),
                "read": In(stream.Signature(ActivationRead(config))),
                "o": Out(stream.Signature(Activations(config, inputs, elements))),
                "top": Out(data.ArrayLayout(8, config.columns)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        write = self.write.p

        # Writes: sum the lanes and build the tables; then write to memory.
        m.d.comb += self.write.ready.eq(1)
        address = Signal(range(config.act_groups * self.words), reset_less=True)
        exponent = Signal(8, reset_less=True)
        lane_sum = Signal(signed(13), reset_less=True)
        # One-hot: the run's place in its word.
        place = Signal(2 * self.chunk // config.lanes, reset_less=True)
        begins, ends, clears = (
            Signal(reset_less=True, name=name) for name in ("begins", "ends", "clears")
        )
        column = Signal(config.columns)  # one-hot: written in this cycle
        next_run = Signal(range(GROUP // config.lanes))
        # From the lowest bit on: its place in the half of a word, the word, the half.
        word_bits = (self.words - 1).bit_length()
        run, word = next_run[: -1 - word_bits], next_run[-1 - word_bits : -1]
        with m.If(self.write.valid):
            m.d.sync += next_run.eq(Mux(write.last, 0, next_run + 1))
        m.d.sync += [
            address.eq(Cat(word, write.group)),
            exponent.eq(write.exponent),
            lane_sum.eq(sum(write.values)),
            place.eq(1 << Cat(run, next_run[-1])),
            begins.eq(next_run == 0),
            ends.eq(write.last),
            clears.eq(write.clear),
            column.eq(Cat(self.write.valid & (write.column == n) for n in range(config.columns))),
        ]
        tables = self.tables(m)
        half_bits = TABLES(self.inputs, 2 * self.chunk).size // 2  # of a word
        group_sum = Signal(signed(13))
        sum_so_far = Signal(signed(13), reset_less=True)
        m.d.comb += group_sum.eq(Mux(begins, 0, sum_so_far) + lane_sum)
        with m.If(column.any()):
            m.d.sync += sum_so_far.eq(group_sum)

        # Reads: the memories' output registers, then the payload's.
        advance, fetched = Signal(), Signal()
        split, half = Signal(reset_less=True), Signal(reset_less=True)
        part = self.read.p.part if self.own < HALF else C(0, 0)
        inner = Signal(range(self.inside), reset_less=True)  # place of the part in its word
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            self.read.ready.eq(advance),
        ]
        with m.If(advance):
            m.d.sync += [
                fetched.eq(self.read.valid),
                self.o.valid.eq(fetched),
                split.eq(self.read.p.split),
                half.eq(self.read.p.half),
                inner.eq(part),
            ]

        info = data.StructLayout({"exponent": 8, "sum": signed(13)})
        outputs = []
        for n in range(config.columns):
            cells = memory.Memory(
                shape=unsigned(2 * half_bits), depth=config.act_groups * self.words, init=[]
            )
            infos = memory.Memory(shape=info, depth=config.act_groups, init=[])
            m.submodules[f"cells{n}"], m.submodules[f"infos{n}"] = cells, infos
            cells_w, infos_w = cells.write_port(granularity=len(tables)), infos.write_port()
            cells_r, infos_r = cells.read_port(), infos.read_port()
            m.d.comb += [
                cells_w.addr.eq(address),
                cells_w.data.eq(tables.replicate(len(place))),
                cells_w.en.eq(Mux(column[n], place, 0)),
                infos_w.addr.eq(address[word_bits:]),
                infos_w.data.exponent.eq(exponent),
                infos_w.data.sum.eq(group_sum),
                infos_w.en.eq(column[n] & ends),
                cells_r.addr.eq(Cat(part[len(inner) :], self.read.p.group)),
                cells_r.en.eq(advance),
                infos_r.addr.eq(self.read.p.group),
                infos_r.en.eq(advance),
            ]
            with m.If(column[n] & (clears | (exponent > self.top[n]))):
                m.d.sync += self.top[n].eq(exponent)

            shift = self._shift(m, n, infos_r.data.exponent)
            low = Signal(half_bits // self.inside, name=f"low{n}")
            high = Signal(half_bits // self.inside, name=f"high{n}")
            halves = [
                word.word_select(inner, len(low))
                for word in (cells_r.data[:half_bits], cells_r.data[half_bits:])
            ]
            m.d.comb += [
                low.eq(Mux(split & half, halves[1], halves[0])),
                high.eq(Mux(split & ~half, halves[0], halves[1])),
            ]
            outputs.append((Cat(low, high), infos_r.data.sum, shift))
            if config.aside:
                self._fifth(m, n, advance, cells, infos)

        with m.If(advance):
            for name, values in zip(("tables", "sums", "shift"), zip(*outputs)):
                m.d.sync += self.o.p[name].as_value().eq(Cat(values))

        return m

    def _shift(self, m, column, exponent, name="shift"):
        """How far the sums of a group of this exponent are shifted."""
        # Nonnegative: `top` is at least the exponent of every group of its vector.
        below = Signal(8, name=f"below_{name}{column}")
        shift = Signal(signed(6), name=f"{name}{column}")
        m.d.comb += [
            below.eq(self.top[column] - exponent),
            shift.eq(Mux(below > WINDOW, -1, WINDOW - below[:4])),
        ]
        return shift

    def _fifth(self, m, column, advance, cells, infos):
        """Read a column's elements of the fifth step, beside the step's own group."""
        read = self.read.p
        cells_r, infos_r = cells.read_port(), infos.read_port()
        fifth, place = (
            Signal(width, name=f"{name}{column}", reset_less=True)
            for name, width in (("has_fifth", 1), ("place", 2))
        )
        m.d.comb += [port.addr.eq(read.fifth_group) for port in (cells_r, infos_r)]
        m.d.comb += [port.en.eq(advance) for port in (cells_r, infos_r)]
        shift = self._shift(m, column, infos_r.data.exponent, "fifth_shift")
        tables = data.View(TABLES(self.inputs, GROUP), cells_r.data)
        with m.If(advance):
            m.d.sync += [
                fifth.eq(read.fifth),
                place.eq(read.place),
                self.o.p.fifth_shift[column].eq(Mux(fifth, shift, -1)),
            ]
            m.d.sync += [
                self.o.p.fifth[column][j].eq(self._element(tables, j, place))
                for j in range(GROUP // 4)
            ]

    def _element(self, tables, j, place):
        """Activation 4 j + `place`. The entry of all ones is the sum of a table's activations, the
        one without activation k has the others' signs as they are: half their difference."""
        each = 4 // self.inputs  # tables of four activations
        bits = self.inputs.bit_length() - 1
        own = (
            Array(tables[each * j + n] for n in range(each))[place[bits:]]
            if each > 1
            else tables[j]
        )
        if self.inputs == 1:
            return own[0]
        own, last = data.View(TABLE(self.inputs), own), self.inputs - 1
        others = [(1 << last) - 1 ^ 1 << k for k in range(last)] + [0]
        other = Array(own[n] for n in others)[place[:bits]]
        negative = place[:bits] != last
        return (own[-1] + (other ^ negative.replicate(len(other))).as_signed() + negative) >> 1

    def tables(self, m):
        """Tables of the lanes that are written."""
        tables = []
        for n in range(0, self.config.lanes, self.inputs):
            m.submodules[f"table{n}"] = table = SignTable(self.inputs)
            m.d.comb += [
                i.eq(value) for i, value in zip(table.i, self.write.p.values[n : n + self.inputs])
            ]
            tables.append(table.o.as_value())
        return Cat(tables)
