"""Map the memory pads of amaranth-boards to LiteDRAM's names."""

__all__ = ["PADS", "TIED", "pads_of"]


# LiteDRAM's name, and the path within a resource of amaranth-boards. A differential pair is given
# by its positive pad: the FPGA's buffer drives the other one. The clock of an SDR memory is the
# board's.
PADS = {
    "sdr": {
        "cke": "clk_en",
        "cs_n": "cs",
        "ras_n": "ras",
        "cas_n": "cas",
        "we_n": "we",
        "ba": "ba",
        "a": "a",
        "dm": "dqm",
        "dq": "dq",
    },
    "ddr3": {
        "reset_n": "rst",
        "clk_p": "clk",
        "cke": "clk_en",
        "cs_n": "cs",
        "ras_n": "ras",
        "cas_n": "cas",
        "we_n": "we",
        "ba": "ba",
        "a": "a",
        "dm": "dm",
        "dq": "dq",
        "dqs_p": "dqs",
        "odt": "odt",
    },
}

# Those that some boards have tied to where they must be.
TIED = {"cs_n", "reset_n"}


def pads_of(kind, resource):
    """IO values by LiteDRAM's names, of a resource that was requested with `dir="-"`.

    What the resource does not have is left out. Polarity is LiteDRAM's business: what is active low
    has a name that says so.
    """
    ports = {
        name: getattr(resource, path)
        for name, path in PADS[kind].items()
        if hasattr(resource, path)
    }
    return {name: port.p if name.endswith("_p") else port.io for name, port in ports.items()}
