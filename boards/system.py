"""Top level of an FPGA design: accelerator, memory controller and link."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.arbiter import Arbiter
from rtl.bus.axi import AXI4Lite
from rtl.bus.slice import AXI4Slice
from rtl.bus.wishbone import Wishbone
from rtl.link.link import UartLink
from rtl.link.registers import CONTROL_ADDR_WIDTH
from rtl.memory.reader import ID_WIDTH
from rtl.spec import csr
from rtl.top import CLIENTS, Accelerator

from .dram.controller import DramController


__all__ = ["System"]


CLOCKS = {"clk_in": In(1), "rst_in": In(1), "user_clk": Out(1), "user_rst": Out(1)}


class System(wiring.Component):
    """The accelerator, the link to its host, and the memory that both share.

    What is in every bitstream, and in the simulated board. It works in the domain `sync`; of a DDR3
    memory, the controller makes that domain's clock.

    Parameters
    ----------
    board : :class:`~.board.Board`
        Board.
    pads : mapping
        IO values of the memory's pads, see :class:`~.dram.controller.DramController`.
    machine : :class:`bool`
        False: leave the accelerator away, which is what takes long to place and route. Link and
        memory can be tried without it; a host finds no registers.

    Members
    -------
    rx, tx : :py:`In(1), Out(1)`
        Serial line, as the board sees it.
    initialised, sealed, busy : :py:`Out(1)`
        For lamps: memory was brought up; an image is in it; the accelerator is at work.
    clk_in, rst_in, user_clk, user_rst
        Clocks of a DDR3 memory, see :class:`~.dram.controller.DramController`.
    """

    def __init__(self, board, pads, *, machine=True):
        self.board = board
        dram, config = board.dram, board.config
        width = (dram.chip.bytes - 1).bit_length()
        self._machine = Accelerator(config) if machine else None
        self._controller = DramController(config, dram, pads, addr_width=width)
        self._link = UartLink(
            config, divisor=board.divisor, board=board.number, units=dram.units, addr_width=width
        )
        self._arbiter = Arbiter(width, config.beat_bits, ID_WIDTH)
        self._slice = AXI4Slice(width, config.beat_bits, ID_WIDTH)
        # The highest bit of an identifier is the arbiter's.
        assert len(CLIENTS) <= 1 << ID_WIDTH - 1
        clocks = CLOCKS if dram.kind == "ddr3" else {}
        super().__init__(
            {
                "rx": In(1, init=1),
                "tx": Out(1, init=1),
                **{name: Out(1) for name in ("initialised", "sealed", "busy")},
                **clocks,
            }
        )

    def elaborate(self, platform):
        m = Module()

        m.submodules.link = link = self._link
        m.submodules.controller = controller = self._controller
        m.submodules.arbiter = arbiter = self._arbiter
        m.submodules.slice = slice_ = self._slice
        # Narrower on the way to memory: addresses by what memory does not have, identifiers by a
        # bit.
        memory = arbiter.o.signature
        join(m, memory, link, "memory_", arbiter.i[0])
        # The memory's pins are where the board has them, however far from the units.
        wiring.connect(m, arbiter.o, slice_.i)
        join(m, memory, slice_.o, "", controller, "memory_")
        join(m, Wishbone(CONTROL_ADDR_WIDTH), link, "control_", controller, "control_")
        m.d.comb += [
            link.rx.eq(self.rx),
            self.tx.eq(link.tx),
            self.initialised.eq(controller.initialised),
            self.sealed.eq(link.sealed),
        ]
        if self._machine is not None:
            m.submodules.machine = machine = self._machine
            join(m, memory, machine, "m_axi_", arbiter.i[1])
            join(m, AXI4Lite(csr.REGISTER_ADDRESS_BITS), link, "registers_", machine, "s_axi_")
            m.d.comb += self.busy.eq(machine.activity.any())
        if self.board.dram.kind == "ddr3":
            m.d.comb += [
                controller.clk_in.eq(self.clk_in),
                controller.rst_in.eq(self.rst_in),
                self.user_clk.eq(controller.user_clk),
                self.user_rst.eq(controller.user_rst),
            ]

        return m


def join(m, signature, initiator, prefix, responder, other_prefix=""):
    """Connect flat or whole ports, of which the first one is the initiator's. Upper bits may be
    missing.
    """
    for name, member in signature.members.items():
        ours, theirs = getattr(initiator, prefix + name), getattr(responder, other_prefix + name)
        m.d.comb += theirs.eq(ours) if member.flow == Out else ours.eq(theirs)
