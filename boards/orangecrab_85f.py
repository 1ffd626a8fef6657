"""OrangeCrab r0.2 with an LFE5U-85F: its clocks, and the system on its pins.

The pins are `amaranth_boards`', but for those of memory and serial line. The memory's chip and the
configuration are in `orangecrab-85f.toml`, which hosts read as well.
"""

from amaranth import *
from amaranth.build import Attrs, DiffPairs, Pins, PinsN, Resource, Subsignal
from amaranth.lib import io
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_85FPlatform
from amaranth_boards.resources import UARTResource

from .pins import connect_lamps, connect_uart, ddr3_system


__all__ = ["Platform", "Top"]


# fmt: off
DDR3 = Resource(
    "ddr3", 0,
    Subsignal("rst",    PinsN("L18", dir="o")),
    Subsignal("clk",    DiffPairs("J18", "K18", dir="o"), Attrs(IO_TYPE="SSTL135D_I")),
    Subsignal("clk_en", Pins("D18", dir="o")),
    Subsignal("cs",     PinsN("A12", dir="o")),
    Subsignal("we",     PinsN("B12", dir="o")),
    Subsignal("ras",    PinsN("C12", dir="o")),
    Subsignal("cas",    PinsN("D13", dir="o")),
    Subsignal("a",      Pins("C4 D2 D3 A3 A4 D4 C3 B2 B1 D1 A7 C2 B6 C1 A2 C7", dir="o")),
    Subsignal("ba",     Pins("D6 B7 A6", dir="o")),
    Subsignal("dqs",    DiffPairs("B15 G18", "A16 H17", dir="io"),
                        Attrs(IO_TYPE="SSTL135D_I", TERMINATION="OFF", DIFFRESISTOR="100")),
    Subsignal("dq",     Pins("C17 D15 B17 C16 A15 B13 A17 A13 F17 F16 G15 F15 J16 C18 H16 F18", dir="io"),
                        Attrs(TERMINATION="OFF")),
    Subsignal("dm",     Pins("D16 G16", dir="o")),
    Subsignal("odt",    Pins("C13", dir="o")),
    Attrs(IO_TYPE="SSTL135_I", SLEWRATE="FAST"),
)
# fmt: on


class Platform(OrangeCrabR0_2_85FPlatform):
    """The board, its memory's pins as its designer gave them to LiteX, and a serial line.

    The pins in amaranth-boards 0.0.21 cannot be right: two of the memory's are a lamp's and a
    connector's, and of the pairs of strobes, each half is another pair's. The serial line is where
    Feather boards have theirs, since the USB connector has no chip behind it.
    """

    resources = [
        *(resource for resource in OrangeCrabR0_2_85FPlatform.resources if resource.name != "ddr3"),
        DDR3,
        UARTResource(
            0, rx="0", tx="1", conn=("io", 0), attrs=Attrs(IO_TYPE="LVCMOS33", PULLMODE="UP")
        ),
    ]


class Top(Elaboratable):
    """The system on its pins."""

    def __init__(self, board, **options):
        self.board, self.options = board, options

    def elaborate(self, platform):
        m = Module()

        system = ddr3_system(
            m,
            self.board,
            platform.request("clk", dir="-"),
            platform.request("ddr3", dir="-"),
            self.options,
        )
        connect_uart(m, platform.request("uart", dir="-"), system)
        lamps = platform.request("rgb_led", dir="-")
        connect_lamps(m, [lamps.b, lamps.g, lamps.r], system)

        # Pads beside those of the memory, which drive its supply and ground.
        power = platform.request("ddr3_pseudo_power", dir="-")
        for name in ("vcc_virtual", "gnd_virtual"):
            m.submodules[name] = io.Buffer("o", getattr(power, name))

        return m
