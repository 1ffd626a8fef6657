"""The link over a serial line."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..bus.axi import AXI4, AXI4Lite, flat, gather
from ..bus.wishbone import Wishbone
from ..memory.reader import ID_WIDTH
from ..spec import csr
from ..spec.config import Config
from .bridge import Bridge
from .cobs import CobsDecoder, CobsEncoder
from .registers import CONTROL_ADDR_WIDTH
from .uart import UartReceiver, UartTransmitter


__all__ = ["UartLink"]


class UartLink(wiring.Component):
    """Let a host load memory, reach registers and start the machine, over a serial line.

    See `docs/link.md`. A reset makes it forget the host, which is told so.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.
    divisor : :class:`int`
        Cycles per bit of the line, at least 4.
    board : :class:`int`
        What the host is told that this board is: 32 bits.
    units : :class:`int`
        Units of memory, from address 0 on.
    addr_width : :class:`int`
        Width of memory's byte addresses, at most 33.
    patience : :class:`int`
        Cycles without progress after which a bus is given up.

    Members
    -------
    rx, tx : :py:`In(1), Out(1)`
        Serial line, as the board sees it: high when idle, eight data bits, no parity, one stop bit.
    registers_awaddr, … : :py:`Out(AXI4Lite(csr.REGISTER_ADDRESS_BITS))`, flat
        The accelerator's registers.
    control_adr, … : :py:`Out(Wishbone(CONTROL_ADDR_WIDTH))`, flat
        The board's control bus, such as LiteDRAM's.
    memory_awaddr, … : :py:`Out(AXI4(addr_width, config.beat_bits, ID_WIDTH))`, flat
        Memory.
    sealed : :py:`Out(1)`
        What was loaded is complete: the machine may be started.
    """

    def __init__(self, config, *, divisor, board, units, addr_width=32, patience=1 << 20):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self._receiver, self._transmitter = UartReceiver(divisor), UartTransmitter(divisor)
        self._bridge = Bridge(
            config, board=board, units=units, addr_width=addr_width, patience=patience
        )
        self._buses = {
            "registers": AXI4Lite(csr.REGISTER_ADDRESS_BITS),
            "control": Wishbone(CONTROL_ADDR_WIDTH),
            "memory": AXI4(addr_width, config.beat_bits, ID_WIDTH),
        }
        members = {"rx": In(1, init=1), "tx": Out(1, init=1), "sealed": Out(1)}
        for name, signature in self._buses.items():
            members |= flat(name, signature)
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()

        m.submodules.receiver = receiver = self._receiver
        m.submodules.transmitter = transmitter = self._transmitter
        m.submodules.decoder = decoder = CobsDecoder()
        m.submodules.encoder = encoder = CobsEncoder()
        m.submodules.bridge = bridge = self._bridge

        wiring.connect(m, receiver.o, decoder.i)
        wiring.connect(m, decoder.o, bridge.i)
        wiring.connect(m, bridge.o, encoder.i)
        wiring.connect(m, encoder.o, transmitter.i)
        for name, signature in self._buses.items():
            wiring.connect(m, getattr(bridge, name), gather(self, name, signature))
        m.d.comb += [
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            self.sealed.eq(bridge.sealed),
        ]

        return m
