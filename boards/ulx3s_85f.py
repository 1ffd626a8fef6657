"""ULX3S with an LFE5U-85F: its clocks, and the system on `amaranth_boards`' pins.

Its memory's chip and its configuration are in `ulx3s-85f.toml`, which hosts read as well.
"""

from amaranth import *
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer
from amaranth_boards.ulx3s import ULX3S_85F_Platform as Platform

from .dram.pads import pads_of
from .ecp5 import Pll
from .pins import connect_lamps, connect_uart
from .system import System


__all__ = ["Platform", "Top"]


# Degrees. Commands are there by then; the memory answers within 6 ns, before the other clock's next
# edge.
LATE = 90


class Top(Elaboratable):
    """The system on its pins, and the clocks of both."""

    def __init__(self, board, **options):
        self.board, self.options = board, options

    def elaborate(self, platform):
        m = Module()
        board = self.board

        clock = platform.request("clk25", dir="-")
        m.submodules.clock = clock = io.Buffer("i", clock)
        m.submodules.pll = pll = Pll(board.dram.input_mhz, board.clock_mhz, LATE)
        m.domains.sync = ClockDomain("sync")
        m.domains.late = ClockDomain("late", reset_less=True)
        m.d.comb += [
            pll.clk_in.eq(clock.i),
            ClockSignal("sync").eq(pll.clk),
            ClockSignal("late").eq(pll.late),
        ]
        m.submodules.reset = ResetSynchronizer(~pll.locked, domain="sync")

        sdram = platform.request("sdram", dir="-")
        m.submodules.sdram_clock = sdram_clock = io.DDRBuffer("o", sdram.clk, o_domain="late")
        m.d.comb += [sdram_clock.o[0].eq(1), sdram_clock.oe.eq(1)]

        m.submodules.system = system = System(board, pads_of("sdr", sdram), **self.options)
        connect_uart(m, platform.request("uart", dir="-"), system)
        connect_lamps(m, [platform.request("led", n, dir="-") for n in range(3)], system)

        return m
