"""The accelerator as an IP block for vendor tools."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import AXI4, AXI4Lite, flat, gather
from rtl.memory.reader import ID_WIDTH
from rtl.spec.config import Config
from rtl.top import Accelerator

from .front import Front
from .registers import BLOCK_ADDRESS_BITS, PAGE


__all__ = ["Kernel"]


MEMORY_ADDRESS_BITS = 64  # which kernels of XRT must have; the interconnect takes what it needs
CACHE = 0b0011  # bufferable and modifiable, so that width converters may pack beats


class Kernel(wiring.Component):
    """The accelerator with the clock, reset and port names that vendor tools recognize, and with
    its memory anywhere in theirs.

    Addresses of memory are the accelerator's plus the register BASE; of its lowest 12 bits nothing
    is added. BASE may be changed while the accelerator is idle. A request for memory takes one
    cycle more than the accelerator's; data pass.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.

    Members
    -------
    ap_clk, ap_rst_n : :py:`In(1)`
        Clock; synchronous reset, active low.
    s_axi_control_awaddr, … : :py:`In(AXI4Lite(BLOCK_ADDRESS_BITS))`, flat
        Registers, see :class:`~.front.Front`.
    m_axi_awaddr, … : :py:`Out(AXI4(64, config.beat_bits, 4))`, flat
        Memory.
    m_axi_awcache, m_axi_arcache, m_axi_awprot, m_axi_arprot : :py:`Out(4)`, :py:`Out(3)`
        Constants.
    """

    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        self.host = AXI4Lite(BLOCK_ADDRESS_BITS)
        self.dram = AXI4(MEMORY_ADDRESS_BITS, config.beat_bits, ID_WIDTH)
        super().__init__(
            {
                "ap_clk": In(1),
                "ap_rst_n": In(1),
                **flat("s_axi_control", self.host.flip()),
                **flat("m_axi", self.dram),
                "m_axi_awcache": Out(4),
                "m_axi_arcache": Out(4),
                "m_axi_awprot": Out(3),
                "m_axi_arprot": Out(3),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = sync = ClockDomain()
        # The reset enters a register, so that it may take its time across the chip.
        reset = Signal(init=1, reset_less=True)
        m.domains.raw = raw = ClockDomain(reset_less=True)
        m.d.comb += [raw.clk.eq(self.ap_clk), sync.clk.eq(self.ap_clk), sync.rst.eq(reset)]
        m.d.raw += reset.eq(~self.ap_rst_n)

        m.submodules.accelerator = accelerator = Accelerator(self.config)
        m.submodules.front = front = Front()
        wiring.connect(m, gather(self, "s_axi_control", self.host.flip()), front.host)
        # Gathered as its manager has it: from here, it is another's.
        wiring.connect(m, front.machine, gather(accelerator, "s_axi", accelerator.host))
        self.connect_memory(m, gather(self, "m_axi", self.dram), accelerator, front.base)
        m.d.comb += [self.m_axi_awcache.eq(CACHE), self.m_axi_arcache.eq(CACHE)]
        return m

    def connect_memory(self, m, dram, accelerator, base):
        """Requests through a register, where BASE is added; all else as it is."""

        def inner(name):
            return getattr(accelerator, f"m_axi_{name}")

        for channel in "aw", "ar":
            free, valid = Signal(name=f"{channel}_free"), getattr(dram, f"{channel}valid")
            m.d.comb += [
                free.eq(~valid | getattr(dram, f"{channel}ready")),
                inner(f"{channel}ready").eq(free),
            ]
            with m.If(free):
                m.d.sync += valid.eq(inner(f"{channel}valid"))
                for part in "id", "len", "size", "burst":
                    m.d.sync += getattr(dram, channel + part).eq(inner(channel + part))
                page = (inner(f"{channel}addr") + base) >> PAGE.bit_length() - 1
                m.d.sync += getattr(dram, f"{channel}addr").eq(
                    Cat(inner(f"{channel}addr")[: PAGE.bit_length() - 1], page)
                )
        for name, member in self.dram.members.items():
            if name[0] in "wrb":
                ours, theirs = inner(name), getattr(dram, name)
                m.d.comb += theirs.eq(ours) if member.flow == Out else ours.eq(theirs)
