"""Wishbone ports, under the names of the specification (Wishbone B4)."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


__all__ = ["Wishbone"]


class Wishbone(wiring.Signature):
    """All signals of an initiator of classic cycles with 32-bit data.

    Parameters
    ----------
    addr_width : :class:`int`
        Width of the addresses (of 32-bit words).
    """

    def __init__(self, addr_width):
        super().__init__(
            {
                "adr": Out(addr_width),
                "dat_w": Out(32),
                "dat_r": In(32),
                "sel": Out(4),
                "cyc": Out(1),
                "stb": Out(1),
                "we": Out(1),
                "ack": In(1),
                "err": In(1),
            }
        )
