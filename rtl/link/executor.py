"""Executes the link's requests."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.csr import REGISTERS
from ..spec.numbers import UNIT_BYTES
from ..spec.protocol import (
    HEADER_BYTES,
    MAGIC,
    MAX_DATA,
    MAX_REQUEST,
    MESSAGES,
    REPLY,
    STATUS_BYTES,
    VERSION,
    Op,
    Space,
    Status,
    pack,
    size,
)
from .cobs import PACKET
from .frame import SLOT
from .memory import AREA, CHECKED
from .registers import ACCESS, ACCESSED


__all__ = ["Executor"]


FIELDS_BYTES = max(size(message.request) for message in MESSAGES.values())
REPLY_HEADER = HEADER_BYTES + STATUS_BYTES


class Executor(wiring.Component):
    """Execute requests one after another, and reply to each.

    A request with the operation and sequence number of the last one is a retransmission, after a
    lost reply: it is not executed again, and gets the same reply. Values that were read are kept
    for that.

    The machine starts only while memory is sealed. SEAL seals it if the checksum is the one that
    the host expects; any access that may change memory breaks the seal.

    A bus that does not answer times out: this reply says so, and so do later ones while it is busy.

    A request takes about 20 cycles before it is executed, the data of a STORE two cycles per byte.

    Parameters
    ----------
    board : :class:`int`
        What HELLO says that this board is: 32 bits.
    units : :class:`int`
        Units of memory that there are.
    patience : :class:`int`
        Cycles without progress after which a bus is given up: at least 64.

    Members
    -------
    packet, addr, byte
        The request, see :class:`~.frame.FrameReceiver`.
    reply : :py:`Out(stream.Signature(PACKET))`
        Replies.
    access, accessed : :py:`Out(stream.Signature(ACCESS)), In(stream.Signature(ACCESSED))`
        Registers.
    area, checked : :py:`Out(stream.Signature(AREA)), In(stream.Signature(CHECKED))`
        Memory.
    bytes : :py:`Out(stream.Signature(8))`
        Bytes to write there.
    beat : :py:`In(1)`
        Memory is making progress.
    abort : :py:`Out(1)`
        What is being done is given up; if an answer comes yet, it is dropped.
    sealed : :py:`Out(1)`
        The machine may be started.
    """

    def __init__(self, *, board, units, patience=1 << 20):
        if not isinstance(board, int) or not 0 <= board < 1 << 32:
            raise ValueError(f"Board must be in range(0, {1 << 32:#x}), not {board!r}")
        if not isinstance(patience, int) or patience < 64:
            raise ValueError(f"Patience must be at least 64 cycles, not {patience!r}")
        self.board, self.units, self.patience = board, units, patience
        super().__init__(
            {
                "packet": In(stream.Signature(range(MAX_REQUEST + 1))),
                "addr": Out(range(SLOT)),
                "byte": In(8),
                "reply": Out(stream.Signature(PACKET)),
                "access": Out(stream.Signature(ACCESS)),
                "accessed": In(stream.Signature(ACCESSED)),
                "area": Out(stream.Signature(AREA)),
                "checked": In(stream.Signature(CHECKED)),
                "bytes": Out(stream.Signature(8)),
                "beat": In(1),
                "abort": Out(1),
                "sealed": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        header = Signal(8 * (HEADER_BYTES + FIELDS_BYTES), reset_less=True)
        operation, number = header[:8], header[8:16]
        words = [header[at : at + 32] for at in range(16, len(header), 32)]
        taken = Signal(range(HEADER_BYTES + FIELDS_BYTES))
        fetched = Signal()  # `byte` is the one at `addr`

        greeted = Signal()
        last = Signal(16)  # operation and number of the request executed last; no operation is 0
        outcome = Signal(Status, reset_less=True)  # of that request
        value = Signal(32, reset_less=True)
        status = Signal(Status, reset_less=True)  # of this one
        timer = Signal(range(self.patience + 1))
        beat = Signal()
        m.d.sync += [beat.eq(self.beat), timer.eq(Mux(beat, 0, timer + 1))]

        fits, of_memory = Signal(), Signal()
        self.judge(m, operation, fits)
        m.d.comb += [
            of_memory.eq(operation >= Op.STORE),
            self.access.payload.write.eq(operation == Op.WRITE),
            self.access.payload.address.eq(words[0]),
            self.access.payload.value.eq(words[1]),
            self.area.payload.write.eq(operation == Op.STORE),
            self.area.payload.unit.eq(words[0]),
            self.area.payload.units.eq(
                Mux(operation == Op.STORE, self.packet.payload // UNIT_BYTES, words[1])
            ),
            self.bytes.payload.eq(self.byte),
            # Answers to requests that timed out are dropped.
            self.accessed.ready.eq(1),
            self.checked.ready.eq(1),
        ]

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += taken.eq(0)
                with m.If(self.packet.valid):
                    m.d.sync += self.addr.eq(1)
                    m.next = "HEADER"
            with m.State("HEADER"):
                # Bytes beyond the end of a short packet are undefined, and unused.
                m.d.sync += [
                    header.eq(Cat(header[8:], self.byte)),
                    self.addr.eq(self.addr + 1),
                    taken.eq(taken + 1),
                ]
                with m.If(taken == HEADER_BYTES + FIELDS_BYTES - 1):
                    m.next = "DECIDE"
            with m.State("DECIDE"):
                m.d.sync += [
                    timer.eq(0),
                    fetched.eq(0),
                    self.addr.eq(HEADER_BYTES + size(MESSAGES[Op.STORE].request)),
                ]
                self.decide(m, header[:16], fits, greeted, last, outcome, status)
            self.send(m, operation, words, of_memory, status, timer)
            self.wait(m, operation, of_memory, fetched, words[2], value, status, timer)
            with m.State("KEEP"):
                m.d.sync += outcome.eq(status)
                m.next = "REPLY"
            with m.State("REPLY"):
                m.d.comb += self.reply.valid.eq(1)
                with m.If(self.reply.ready & self.reply.payload.last):
                    m.d.comb += self.packet.ready.eq(1)
                    m.d.sync += self.addr.eq(0)
                    m.next = "IDLE"

        self.answer(m, operation, number, status, Mux(operation == Op.HELLO, words[0], value))
        return m

    def decide(self, m, request, fits, greeted, last, outcome, status):
        """Execute a request, or answer at once: one that is wrong, or the same as the last one."""
        m.next = "REPLY"
        with m.If(fits & (request[:8] == Op.HELLO)):
            m.d.sync += [greeted.eq(1), last.eq(0), status.eq(Status.OK)]
        with m.Elif(~greeted):
            m.d.sync += status.eq(Status.STRANGER)
        with m.Elif(~fits):
            m.d.sync += status.eq(Status.MALFORMED)
        with m.Elif(request == last):
            m.d.sync += status.eq(outcome)
        with m.Else():
            m.d.sync += [last.eq(request), status.eq(Status.OK)]
            m.next = "SEND"

    def send(self, m, operation, words, of_memory, status, timer):
        """State in which a request goes to the registers or to memory."""
        starts = Signal()
        m.d.comb += starts.eq((words[0] == REGISTERS["CONTROL"].address) & words[1][0])
        with m.State("SEND"):
            unseals = of_memory & (operation != Op.CHECK) | (operation == Op.WRITE) & (
                words[0][28:] == Space.CONTROL
            )
            with m.If((operation == Op.WRITE) & starts & ~self.sealed):
                m.d.sync += status.eq(Status.UNSEALED)
                m.next = "KEEP"
            with m.Else():
                m.d.comb += [self.access.valid.eq(~of_memory), self.area.valid.eq(of_memory)]
                with m.If(unseals):
                    m.d.sync += self.sealed.eq(0)
                with m.If(Mux(of_memory, self.area.ready, self.access.ready)):
                    m.d.sync += timer.eq(0)
                    m.next = "WAIT"
                with m.Elif(timer == self.patience):
                    m.d.sync += status.eq(Status.BUS)
                    m.next = "KEEP"

    def wait(self, m, operation, of_memory, fetched, checksum, value, status, timer):
        """State of a request that is executed: its bytes go out, until an answer comes."""
        with m.State("WAIT"):
            m.d.comb += self.bytes.valid.eq(fetched & (operation == Op.STORE))
            m.d.sync += fetched.eq(1)
            with m.If(self.bytes.valid & self.bytes.ready):
                m.d.sync += [self.addr.eq(self.addr + 1), fetched.eq(0), timer.eq(0)]
            with m.If(self.checked.valid & of_memory):
                m.d.sync += value.eq(self.checked.payload.crc)
                with m.If(~self.checked.payload.ok):
                    m.d.sync += status.eq(Status.BUS)
                with m.Elif(operation == Op.SEAL):
                    with m.If(self.checked.payload.crc == checksum):
                        m.d.sync += self.sealed.eq(1)
                    with m.Else():
                        m.d.sync += status.eq(Status.CHECKSUM)
                m.next = "KEEP"
            with m.Elif(self.accessed.valid & ~of_memory):
                m.d.sync += value.eq(self.accessed.payload.value)
                with m.If(~self.accessed.payload.ok):
                    m.d.sync += status.eq(Status.BUS)
                m.next = "KEEP"
            with m.Elif(timer == self.patience):
                m.d.comb += self.abort.eq(1)
                m.d.sync += status.eq(Status.BUS)
                m.next = "KEEP"

    def judge(self, m, operation, fits):
        """Whether the operation exists, and the packet has a size that it may have."""
        with m.Switch(operation):
            for op, message in MESSAGES.items():
                with m.Case(op):
                    sizes = [HEADER_BYTES + n for n in message.sizes]
                    m.d.comb += fits.eq(Cat(self.packet.payload == n for n in sizes).any())

    def answer(self, m, operation, number, status, value):
        """The reply's bytes."""
        bodies = {op: size(message.reply) for op, message in MESSAGES.items()}
        hello = pack(
            MESSAGES[Op.HELLO].reply,
            {
                "nonce": 0,
                "magic": MAGIC,
                "version": VERSION,
                "max_data": MAX_DATA,
                "board": self.board,
                "memory_units": self.units,
            },
        )
        # The first word of a body is the only one that is not always the same.
        body = Cat(value, Const(int.from_bytes(hello[4:], "little"), 8 * len(hello) - 32))
        reply = Cat(operation | REPLY, number, status, C(0, 8 - len(status)), body)
        at = Signal(range(REPLY_HEADER + max(bodies.values())))
        end = Signal.like(at)
        m.d.comb += end.eq(REPLY_HEADER - 1)
        with m.If(status == Status.OK):
            with m.Switch(operation):
                for op, count in bodies.items():
                    with m.Case(op):
                        m.d.comb += end.eq(REPLY_HEADER + count - 1)
        m.d.comb += [
            self.reply.payload.byte.eq(reply.word_select(at, 8)),
            self.reply.payload.last.eq(at == end),
        ]
        with m.If(self.reply.valid & self.reply.ready):
            m.d.sync += at.eq(Mux(self.reply.payload.last, 0, at + 1))
