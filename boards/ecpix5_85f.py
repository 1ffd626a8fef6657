"""ECPIX-5 with an LFE5UM5G-85F: its clocks, and the system on `amaranth_boards`' pins.

Its memory's chip and its configuration are in `ecpix5-85f.toml`, which hosts read as well.
"""

from amaranth import *
from amaranth_boards.ecpix5 import ECPIX585Platform as Platform

from .pins import connect_lamps, connect_uart, ddr3_system


__all__ = ["Platform", "Top"]


class Top(Elaboratable):
    """The system on its pins."""

    def __init__(self, board, **options):
        self.board, self.options = board, options

    def elaborate(self, platform):
        m = Module()

        system = ddr3_system(
            m,
            self.board,
            platform.request("clk100", dir="-"),
            platform.request("ddr3", dir="-"),
            self.options,
        )
        connect_uart(m, platform.request("uart", dir="-"), system)
        connect_lamps(m, [platform.request("rgb_led", n, dir="-").g for n in range(3)], system)

        return m
