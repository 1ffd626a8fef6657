"""LiteDRAM's controller as a component."""

from math import ceil

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4, flat, gather
from rtl.bus.widener import AXI4Widener
from rtl.bus.wishbone import Wishbone
from rtl.link.registers import CONTROL_ADDR_WIDTH
from rtl.memory.reader import ADDR_WIDTH, ID_WIDTH
from rtl.spec.config import Config

from .board_memory import BoardMemory
from .generate import generate
from .pads import PADS, TIED


__all__ = ["DramController"]


POWER_UP_SECONDS = 200e-6


class DramController(wiring.Component):
    """A board's memory, behind LiteDRAM's controller.

    Until a host has brought the memory up over the control bus (:mod:`.initialise`), no access is
    taken. Accesses are answered in order, those to beyond the end of memory at the address modulo
    its size.

    An SDR memory gets no command in the 200 us after a reset, as it wants; so long the control bus
    keeps whoever asks waiting.

    Beats narrower than the memory's own accesses pass an :class:`~rtl.bus.widener.AXI4Widener`:
    reads must be of whole accesses then, as those of units are.

    The controller of a DDR3 memory makes its own clock: `user_clk`, which has to be the domain
    `sync` then, with the reset `user_rst`.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.
    dram : :class:`~.board_memory.BoardMemory`
        The memory.
    pads : mapping
        IO values of the memory's pads, by the names in :data:`~.pads.PADS`; those in
        :data:`~.pads.TIED` may be missing.
    addr_width : :class:`int`
        Width of byte addresses.

    Members
    -------
    memory_awaddr, … : :py:`In(AXI4(addr_width, config.beat_bits, ID_WIDTH))`, flat
        Memory.
    control_adr, … : :py:`In(Wishbone(CONTROL_ADDR_WIDTH))`, flat
        Registers of the controller, see :mod:`.registers`.
    initialised : :py:`Out(1)`
        A host has brought the memory up.
    clk_in, rst_in : :py:`In(1)`
        Clock of `dram.input_mhz`, and its asynchronous reset. Only of a DDR3 memory.
    user_clk, user_rst : :py:`Out(1)`
        Clock of `dram.clock_mhz`, and its reset. Only of a DDR3 memory.
    """

    def __init__(self, config, dram, pads, *, addr_width=ADDR_WIDTH):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        if not isinstance(dram, BoardMemory):
            raise TypeError(f"Memory must be a BoardMemory, not {dram!r}")
        if not set(PADS[dram.kind]) - TIED <= set(pads) <= set(PADS[dram.kind]):
            raise ValueError(
                f"Pads of a memory of kind {dram.kind!r} must be {', '.join(PADS[dram.kind])}, "
                f"not {', '.join(pads)}"
            )
        self._port_bits = max(config.beat_bits, dram.port_bits)
        self._address_bits = (dram.chip.bytes - 1).bit_length()
        if addr_width < self._address_bits:
            raise ValueError(
                f"Address width must be at least {self._address_bits}, not {addr_width!r}"
            )
        # Boards have lines for larger chips too.
        self.config, self.dram, self.pads = (
            config,
            dram,
            {**pads, "a": pads["a"][: dram.chip.row_bits]},
        )
        self._buses = {
            "memory": AXI4(addr_width, config.beat_bits, ID_WIDTH).flip(),
            "control": Wishbone(CONTROL_ADDR_WIDTH).flip(),
        }
        members = {"initialised": Out(1)}
        if dram.kind == "ddr3":
            members |= {"clk_in": In(1), "rst_in": In(1), "user_clk": Out(1), "user_rst": Out(1)}
        for name, signature in self._buses.items():
            members |= flat(name, signature)
        super().__init__(members)

    def verilog(self):
        """Text of the module that this one instantiates."""
        return generate(self.dram, data_bits=self._port_bits, id_width=ID_WIDTH)

    def port(self, m):
        """Memory, as wide as the controller's own port."""
        memory = gather(self, "memory", self._buses["memory"])
        widths = len(self.memory_araddr), self.config.beat_bits, ID_WIDTH
        if self._port_bits == self.config.beat_bits:
            return memory
        m.submodules.widener = widener = AXI4Widener(*widths, self._port_bits)
        wiring.connect(m, memory, widener.i)
        return widener.o

    def elaborate(self, platform):
        m = Module()

        if platform is not None:
            platform.add_file("litedram_core.v", self.verilog())

        ports = {"o_init_done": self.initialised}
        prefix = "sdram" if self.dram.kind == "sdr" else "ddram"
        ports |= {f"io_{prefix}_{name}": pad for name, pad in self.pads.items()}
        if self.dram.kind == "sdr":
            cycles = ceil(POWER_UP_SECONDS * self.dram.clock_mhz * 1e6)
            wait = Signal(range(cycles + 1), init=cycles)
            held = Signal(init=1)
            m.d.sync += held.eq(wait != 0)
            with m.If(wait != 0):
                m.d.sync += wait.eq(wait - 1)
            ports |= {"i_clk": ClockSignal(), "i_rst": held}
        else:
            ports |= {
                "i_clk": self.clk_in,
                "i_rst": self.rst_in,
                "o_user_clk": self.user_clk,
                "o_user_rst": self.user_rst,
            }

        control = gather(self, "control", self._buses["control"])
        for bus, prefix in ((self.port(m), "user_port_axi"), (control, "wb_ctrl")):
            for name, member in bus.signature.members.items():
                ours = getattr(bus, name)
                if name in ("araddr", "awaddr"):
                    ours = ours[: self._address_bits]
                if name in ("arsize", "awsize"):  # which has a bit too many there
                    ours = Cat(ours, C(0, 1))
                ports[f"{'i' if member.flow == Out else 'o'}_{prefix}_{name}"] = ours
        m.submodules.core = Instance(
            "litedram_core", **ports, i_wb_ctrl_bte=C(0, 2), i_wb_ctrl_cti=C(0, 3)
        )

        return m
