"""Serial line: eight data bits, no parity, one stop bit."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out


__all__ = ["UartReceiver", "UartTransmitter"]


BITS = 10  # start, eight of data, stop


def check_divisor(divisor):
    # With fewer cycles a bit's middle is too far from where it is sampled.
    if not isinstance(divisor, int) or divisor < 4:
        raise ValueError(f"Divisor must be an integer of at least 4, not {divisor!r}")


class UartReceiver(wiring.Component):
    """Receive bytes.

    A byte whose stop bit is missing is dropped, and a start bit shorter than half a bit is ignored.
    Each bit is sampled once, at its middle: the sender's clock may be off by 4 %.

    Latency is about 9.5 bits and five cycles, throughput what the line carries. The line does not
    wait: a byte that is not taken before the next one is complete is lost.

    Parameters
    ----------
    divisor : :class:`int`
        Cycles per bit, at least 4.

    Members
    -------
    rx : :py:`In(1)`
        Line, high when idle. Asynchronous.
    o : :py:`Out(stream.Signature(8))`
        Bytes.
    """

    def __init__(self, divisor):
        check_divisor(divisor)
        self.divisor = divisor
        super().__init__({"rx": In(1, init=1), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()

        line, was = Signal(init=1), Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1)
        m.d.sync += was.eq(line)

        timer = Signal(range(self.divisor))
        left = Signal(range(BITS + 1))
        shift = Signal(BITS - 1, reset_less=True)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(left == 0):
            m.d.sync += timer.eq(self.divisor // 2 - 1)
            with m.If(was & ~line):
                m.d.sync += left.eq(BITS)
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            m.d.sync += [
                timer.eq(self.divisor - 1),
                left.eq(Mux((left == BITS) & line, 0, left - 1)),
                shift.eq(Cat(shift[1:], line)),
            ]
            with m.If((left == 1) & line):
                m.d.sync += [self.o.valid.eq(1), self.o.payload.eq(shift[1:])]

        return m


class UartTransmitter(wiring.Component):
    """Send bytes.

    Latency is one cycle; throughput is a byte every ten bits.

    Parameters
    ----------
    divisor : :class:`int`
        Cycles per bit, at least 4.

    Members
    -------
    i : :py:`In(stream.Signature(8))`
        Bytes.
    tx : :py:`Out(1)`
        Line, high when idle.
    """

    def __init__(self, divisor):
        check_divisor(divisor)
        self.divisor = divisor
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()

        timer = Signal(range(self.divisor))
        left = Signal(range(BITS + 1))
        shift = Signal(BITS - 1, reset_less=True)
        m.d.comb += self.i.ready.eq(left == 0)
        with m.If(left == 0):
            m.d.sync += [timer.eq(self.divisor - 1), shift.eq(Cat(self.i.payload, 1))]
            with m.If(self.i.valid):
                m.d.sync += [self.tx.eq(0), left.eq(BITS)]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            m.d.sync += [
                timer.eq(self.divisor - 1),
                left.eq(left - 1),
                shift.eq(Cat(shift[1:], 1)),
                self.tx.eq(shift[0]),
            ]

        return m
