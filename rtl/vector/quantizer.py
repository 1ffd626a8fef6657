"""Quantizer: from fp32 to groups of integers with a common exponent."""

from amaranth import *
from amaranth.lib import data, fifo, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import GROUP, Config
from ..spec.payloads import Quantized
from .quantizer_lane import KEPT, QuantizerLane


__all__ = ["Floats", "Quantizer"]


def Floats(config):
    """A run of fp32 values. `wide` and `head` are the same in all runs of a group."""
    return data.StructLayout(
        {
            "values": data.ArrayLayout(32, config.lanes),
            "wide": 1,  # integers of 16 rather than 8 bits
            "head": 1,
        }
    )  # groups of an attention head, not of `GROUP`


def maximum(values):
    """Largest of one, two or four `values`."""
    if len(values) == 1:
        return values[0]
    a, b = (maximum(values[n::2]) for n in range(2))
    return Mux(a > b, a, b)


class Quantizer(wiring.Component):
    """Quantize groups of fp32 values to integers that share a power of two.

    Computes :func:`sw_ref.numerics.quantize` bit for bit, for groups of `GROUP` or `head_dim`
    elements, and 8 or 16 bits.

    A group waits in a buffer until its largest exponent is known; the buffer holds two heads, so
    that one can be filled while another is drained. In it, values have lost the low bits that no
    integer depends on.

    Throughput is one run per cycle; backpressure is respected. The first run of a group follows its
    last one at `i` by :attr:`latency` cycles, unless runs before it are yet to leave.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `lanes` (values per run) and `head_dim` are used.

    Attributes
    ----------
    latency : :class:`int`
        Cycles from the last run of a group at `i` to the first at `o`.

    Members
    -------
    i : :py:`In(stream.Signature(Floats(config)))`
        Runs of groups, in order.
    o : :py:`Out(stream.Signature(Quantized(config)))`
        The same runs. Integers of 8 bits are sign-extended.
    """

    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        # Two levels of the tree of maxima per cycle; then to the header's queue and through it;
        # then from the buffer to the output.
        self.tree = config.lanes.bit_length() // 2
        self.latency = self.tree + 2 + 1 + QuantizerLane.LATENCY
        super().__init__(
            {
                "i": In(stream.Signature(Floats(config))),
                "o": Out(stream.Signature(Quantized(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        runs = config.head_dim // config.lanes
        depth = 2 * runs

        def ends(head, place):
            """Whether the run `place` is the last of its group."""
            return place == Mux(head, runs - 1, GROUP // config.lanes - 1)

        run_layout = data.ArrayLayout(KEPT, config.lanes)
        header = data.StructLayout({"exponent": 8, "wide": 1, "head": 1})
        m.submodules.buffer = buffer = memory.Memory(shape=run_layout, depth=depth, init=[])
        m.submodules.headers = headers = fifo.SyncFIFOBuffered(
            width=header.size, depth=2 * config.head_dim // GROUP
        )
        write_port = buffer.write_port()
        read_port = buffer.read_port()

        # Runs enter the buffer while there is room for them.
        entered = Signal(range(2 * depth))
        left = Signal(range(2 * depth))
        place = Signal(range(runs))
        enter = Signal()
        last = Signal()
        m.d.comb += [
            self.i.ready.eq((entered ^ left) != depth),
            enter.eq(self.i.valid & self.i.ready),
            last.eq(ends(self.i.p.head, place)),
            write_port.addr.eq(entered),
            write_port.en.eq(enter),
        ]
        for kept, value in zip(write_port.data, self.i.p.values):
            m.d.comb += kept.as_value().eq(value[-KEPT.size :])
        with m.If(enter):
            m.d.sync += [entered.eq(entered + 1), place.eq(Mux(last, 0, place + 1))]

        # The run's largest exponent follows, four to one per cycle, with what belongs to the run.
        flags = data.StructLayout({"valid": 1, "last": 1, "wide": 1, "head": 1})
        flag = Signal(flags)
        m.d.comb += [
            flag.valid.eq(enter),
            flag.last.eq(last),
            flag.wide.eq(self.i.p.wide),
            flag.head.eq(self.i.p.head),
        ]
        exponents = [value.exponent for value in write_port.data]
        for level in range(self.tree):
            later = Signal(flags, name=f"flag{level}")
            m.d.sync += later.eq(flag)
            flag, before, exponents = later, exponents, []
            for n in range(0, len(before), 4):
                largest = Signal(8, name=f"largest{level}_{n}", reset_less=True)
                m.d.sync += largest.eq(maximum(before[n : n + 4]))
                exponents.append(largest)

        # With its last run, a group's header is complete. There is room for it: the buffer does not
        # hold more groups than the queue.
        so_far = Signal(8)
        complete = Signal(header)
        m.d.comb += [
            complete.exponent.eq(maximum([so_far, exponents[0]])),
            complete.wide.eq(flag.wide),
            complete.head.eq(flag.head),
            headers.w_data.eq(complete),
            headers.w_en.eq(flag.valid & flag.last),
        ]
        with m.If(flag.valid):
            m.d.sync += so_far.eq(Mux(flag.last, 0, complete.exponent))

        # The runs of a group with a header leave, through four stages that move together.
        en = Signal()
        leave = Signal()
        out_last = Signal()
        out = Signal(range(runs))
        front = data.View(header, headers.r_data)
        m.d.comb += [
            en.eq(self.o.ready | ~self.o.valid),
            leave.eq(headers.r_rdy & en),
            out_last.eq(ends(front.head, out)),
            headers.r_en.eq(leave & out_last),
            read_port.addr.eq(left),
            read_port.en.eq(en),
        ]
        with m.If(leave):
            m.d.sync += [left.eq(left + 1), out.eq(Mux(out_last, 0, out + 1))]

        self.round(m, en, leave, front, out_last, read_port.data)

        return m

    def round(self, m, en, leave, front, last, run):
        """Send a run of a group through the lanes, and what the output says of it beside them."""
        tags = data.StructLayout({"exponent": 8, "wide": 1, "last": 1})
        valid = [Signal(name=f"valid{n}") for n in range(QuantizerLane.LATENCY)]
        tag = [Signal(tags, name=f"tag{n}", reset_less=True) for n in range(QuantizerLane.LATENCY)]
        with m.If(en):
            m.d.sync += [
                tag[0].exponent.eq(front.exponent),
                tag[0].wide.eq(front.wide),
                tag[0].last.eq(last),
                *[after.eq(before) for before, after in zip(tag, tag[1:])],
                self.o.p.exponent.eq(tag[-1].exponent),
                self.o.p.last.eq(tag[-1].last),
                Cat(valid, self.o.valid).eq(Cat(leave, valid)),
            ]
        for n in range(self.config.lanes):
            m.submodules[f"lane{n}"] = lane = QuantizerLane()
            m.d.comb += [
                lane.en.eq(en),
                lane.i.eq(run[n]),
                lane.exponent.eq(tag[0].exponent),
                lane.wide.eq(tag[0].wide),
                self.o.p.values[n].eq(lane.o),
            ]
