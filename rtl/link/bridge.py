"""The bridge from packets to the buses of a board."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.axi import AXI4, AXI4Lite
from ..bus.register import StreamRegister
from ..bus.wishbone import Wishbone
from ..memory.reader import ID_WIDTH
from ..spec import csr
from .cobs import DECODED, PACKET
from .executor import Executor
from .frame import FrameReceiver, FrameTransmitter
from .memory import MemoryPort
from .registers import CONTROL_ADDR_WIDTH, RegisterPort


__all__ = ["Bridge"]


class Bridge(wiring.Component):
    """Serve requests that come in packets, whatever carries those.

    `docs/link.md` has the protocol, :mod:`rtl.spec.protocol` its definition. Packets with a wrong
    checksum are dropped; so is a packet that comes while four wait.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.
    board, units, patience
        See :class:`~.executor.Executor`.
    addr_width
        See :class:`~.memory.MemoryPort`.

    Members
    -------
    i : :py:`In(stream.Signature(DECODED))`
        Packets from the host. Always ready.
    o : :py:`Out(stream.Signature(PACKET))`
        Packets to the host.
    registers : :py:`Out(AXI4Lite(csr.REGISTER_ADDRESS_BITS))`
        The accelerator's registers.
    control : :py:`Out(Wishbone(CONTROL_ADDR_WIDTH))`
        The board's control bus.
    memory : :py:`Out(AXI4(addr_width, config.beat_bits, ID_WIDTH))`
        Memory.
    sealed : :py:`Out(1)`
        What was loaded is complete: the machine may be started.
    """

    def __init__(self, config, *, board, units, addr_width=32, patience=1 << 20):
        self._memory = MemoryPort(config, units, addr_width)
        self._executor = Executor(board=board, units=units, patience=patience)
        super().__init__(
            {
                "i": In(stream.Signature(DECODED)),
                "o": Out(stream.Signature(PACKET)),
                "registers": Out(AXI4Lite(csr.REGISTER_ADDRESS_BITS)),
                "control": Out(Wishbone(CONTROL_ADDR_WIDTH)),
                "memory": Out(AXI4(addr_width, config.beat_bits, ID_WIDTH)),
                "sealed": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        m.submodules.executor = executor = self._executor
        m.submodules.memory = memory = self._memory
        m.submodules.registers = registers = RegisterPort()
        m.submodules.receiver = receiver = FrameReceiver()
        m.submodules.transmitter = transmitter = FrameTransmitter()

        wiring.connect(m, wiring.flipped(self.i), receiver.i)
        wiring.connect(m, receiver.packet, executor.packet)
        m.submodules.reply = reply = StreamRegister(PACKET)
        wiring.connect(m, executor.reply, reply.i)
        wiring.connect(m, reply.o, transmitter.i)
        wiring.connect(m, transmitter.o, wiring.flipped(self.o))
        wiring.connect(m, executor.access, registers.i)
        wiring.connect(m, registers.o, executor.accessed)
        wiring.connect(m, executor.area, memory.i)
        wiring.connect(m, executor.bytes, memory.bytes)
        wiring.connect(m, memory.o, executor.checked)
        wiring.connect(m, registers.axi, wiring.flipped(self.registers))
        wiring.connect(m, registers.wb, wiring.flipped(self.control))
        wiring.connect(m, memory.axi, wiring.flipped(self.memory))
        m.d.comb += [
            receiver.addr.eq(executor.addr),
            executor.byte.eq(receiver.byte),
            executor.beat.eq(memory.beat),
            registers.abort.eq(executor.abort),
            memory.abort.eq(executor.abort),
            self.sealed.eq(executor.sealed),
        ]

        return m
