"""AXI4 and AXI4-Lite ports, under the names of the specification (Arm IHI 0022)."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


__all__ = ["OKAY", "SLVERR", "INCR", "AXI4Read", "AXI4Write", "AXI4", "AXI4Lite", "flat", "gather"]


OKAY = 0b00
SLVERR = 0b10
INCR = 0b01


class AXI4Read(wiring.Signature):
    """Read channels of an AXI4 manager.

    Parameters
    ----------
    addr_width, data_width, id_width : :class:`int`
        Widths of the addresses (of bytes), of the data and of the transaction identifiers.
    """

    def __init__(self, addr_width, data_width, id_width):
        super().__init__(
            {
                "arid": Out(id_width),
                "araddr": Out(addr_width),
                "arlen": Out(8),
                "arsize": Out(3),
                "arburst": Out(2),
                "arvalid": Out(1),
                "arready": In(1),
                "rid": In(id_width),
                "rdata": In(data_width),
                "rresp": In(2),
                "rlast": In(1),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AXI4Write(wiring.Signature):
    """Write channels of an AXI4 manager. Parameters are those of :class:`AXI4Read`."""

    def __init__(self, addr_width, data_width, id_width):
        super().__init__(
            {
                "awid": Out(id_width),
                "awaddr": Out(addr_width),
                "awlen": Out(8),
                "awsize": Out(3),
                "awburst": Out(2),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(data_width),
                "wstrb": Out(data_width // 8),
                "wlast": Out(1),
                "wvalid": Out(1),
                "wready": In(1),
                "bid": In(id_width),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
            }
        )


class AXI4(wiring.Signature):
    """All channels of an AXI4 manager. Parameters are those of :class:`AXI4Read`."""

    def __init__(self, addr_width, data_width, id_width):
        widths = addr_width, data_width, id_width
        super().__init__({**AXI4Read(*widths).members, **AXI4Write(*widths).members})


class AXI4Lite(wiring.Signature):
    """All channels of an AXI4-Lite manager with 32-bit data.

    Parameters
    ----------
    addr_width : :class:`int`
        Width of the addresses (of bytes).
    """

    def __init__(self, addr_width):
        super().__init__(
            {
                "awaddr": Out(addr_width),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(32),
                "wstrb": Out(4),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(addr_width),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(32),
                "rresp": In(2),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


def flat(prefix, signature):
    """Members of `signature`, named `prefix_name`.

    Amaranth joins nested names with two underscores; tools that group AXI ports expect one.
    """
    return {f"{prefix}_{name}": member for name, member in signature.members.items()}


def gather(component, prefix, signature):
    """Interface made of the members that :func:`flat` declared, seen from inside `component`."""
    bus = signature.create()
    for name in signature.members:
        setattr(bus, name, getattr(component, f"{prefix}_{name}"))
    return wiring.flipped(bus)
