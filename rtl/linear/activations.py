"""The activation buffer."""

from amaranth import *
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ..cores.tables import TABLES, SignTable
from ..spec.config import GROUP, Config
from ..spec.limits import GROUP_BITS
from ..spec.numbers import WINDOW
from ..spec.payloads import ActivationWrite


__all__ = ["ACTIVATION_READ", "Activations", "ActivationBuffer"]


HALF = GROUP // 2


def ACTIVATION_READ(config):
    """Read of what a step takes, or a part of one. `split`: half of the group is wanted, its
    elements 16-31 if `half`."""
    return data.StructLayout(
        {"group": GROUP_BITS, "half": 1, "split": 1, "part": range(config.parts)}
    )


def Activations(config, inputs=1, elements=None):
    """What one step of the linear core, or a part of one, takes of each column, and its group's
    sum and shift."""
    columns = config.columns
    return data.StructLayout(
        {
            "tables": data.ArrayLayout(TABLES(inputs, elements or config.elements), columns),
            "sums": data.ArrayLayout(signed(13), columns),
            "shift": data.ArrayLayout(signed(6), columns),
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
    read : :py:`In(stream.Signature(ACTIVATION_READ(config)))`
        A group, or half a group, or a part of it.
    o : :py:`Out(stream.Signature(Activations(config, inputs, elements)))`
        `tables` are the group's, or the half's, twice, or of these the part's elements of the lower
        half and of the upper; `sums` are the group's; `shift` is 0 to 15,
        or -1 for a group that is too small to count.
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
                "read": In(stream.Signature(ACTIVATION_READ(config))),
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

            # Nonnegative: `top` is at least the exponent of every group of its vector.
            below = Signal(8, name=f"below{n}")
            shift = Signal(signed(6), name=f"shift{n}")
            low = Signal(half_bits // self.inside, name=f"low{n}")
            high = Signal(half_bits // self.inside, name=f"high{n}")
            halves = [
                word.word_select(inner, len(low))
                for word in (cells_r.data[:half_bits], cells_r.data[half_bits:])
            ]
            m.d.comb += [
                below.eq(self.top[n] - infos_r.data.exponent),
                shift.eq(Mux(below > WINDOW, -1, WINDOW - below[:4])),
                low.eq(Mux(split & half, halves[1], halves[0])),
                high.eq(Mux(split & ~half, halves[0], halves[1])),
            ]
            outputs.append((Cat(low, high), infos_r.data.sum, shift))

        with m.If(advance):
            words, sums, shifts = zip(*outputs)
            m.d.sync += [
                self.o.p.tables.as_value().eq(Cat(words)),
                self.o.p.sums.as_value().eq(Cat(sums)),
                self.o.p.shift.as_value().eq(Cat(shifts)),
            ]

        return m

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
