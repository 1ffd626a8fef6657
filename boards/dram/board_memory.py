"""DRAM chips of boards: geometry and timing for the controller's generator, host and simulation."""

from dataclasses import dataclass

from rtl.spec.config import UNIT_BYTES


__all__ = ["Part", "PARTS", "BoardMemory"]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A kind of memory chip with 16 data lines.

    Parameters
    ----------
    kind : :class:`str`
        "sdr" or "ddr3".
    module : :class:`str`
        LiteDRAM's name of the chip, or of one that is slower in every respect.
    bank_bits, row_bits, column_bits : :class:`int`
        Widths of its addresses.
    rfc_ns : :class:`float` or None
        Time that a refresh takes, of a DDR3 chip: JEDEC's for its size.
    """

    kind: str
    module: str
    bank_bits: int
    row_bits: int
    column_bits: int
    rfc_ns: float | None = None

    @property
    def bytes(self):
        """Its size."""
        return 2 << self.bank_bits + self.row_bits + self.column_bits


PARTS = {
    # LiteDRAM's own entry for the IS42S16160 lacks tRAS and tRRD, which matter above 50 MHz.
    # Micron's part has both, and no parameter that is less than those of the ISSI and Winbond chips
    # of boards.
    "IS42S16160": Part(kind="sdr", module="MT48LC16M16", bank_bits=2, row_bits=13, column_bits=9),
    "MT41K64M16": Part(
        kind="ddr3", module="MT41K64M16", bank_bits=3, row_bits=13, column_bits=10, rfc_ns=110.0
    ),
    "MT41K256M16": Part(
        kind="ddr3", module="MT41K256M16", bank_bits=3, row_bits=15, column_bits=10, rfc_ns=260.0
    ),
}


@dataclass(frozen=True, kw_only=True)
class BoardMemory:
    """The memory of a board, at the clock of a design.

    Parameters
    ----------
    part : :class:`str`
        The chip: one of `PARTS`.
    device : :class:`str`
        The FPGA, as LiteDRAM wants it: family and size are what matters.
    clock_mhz : :class:`float`
        Clock of the controller's ports: of an SDR memory itself, half of a DDR3 memory's.
    input_mhz : :class:`float`
        Clock of the board, from which the controller of a DDR3 memory makes its own.
    """

    part: str
    device: str
    clock_mhz: float
    input_mhz: float = 25.0

    def __post_init__(self):
        if self.part not in PARTS:
            raise ValueError(f"Part must be one of {', '.join(PARTS)}, not {self.part!r}")
        if not self.clock_mhz > 0 or not self.input_mhz > 0:
            raise ValueError(
                f"Clocks must be positive, not {self.clock_mhz!r} and {self.input_mhz!r} MHz"
            )

    @property
    def chip(self):
        """Its :class:`Part`."""
        return PARTS[self.part]

    @property
    def kind(self):
        """ "sdr" or "ddr3"."""
        return self.chip.kind

    @property
    def cas_latency(self):
        """Its clock's cycles from a read command to the data."""
        if self.kind == "ddr3":
            return 6
        return 2 if self.clock_mhz <= 100 else 3

    @property
    def port_bits(self):
        """Bits of one access of its controller: a word of an SDR memory, a burst of eight words of
        a DDR3 memory. LiteDRAM converts narrower ports to it one access at a time, which is slow.
        """
        return {"sdr": 16, "ddr3": 128}[self.kind]

    @property
    def units(self):
        """Units of memory."""
        return self.chip.bytes // UNIT_BYTES

    @property
    def peak(self):
        """Bytes per second that its data lines carry at most."""
        per_cycle = {"sdr": 1, "ddr3": 4}[self.kind]
        return 2 * per_cycle * self.clock_mhz * 1e6
