"""Timing and geometry of the DRAM beside an accelerator; those with names are files in `drams/`."""

from dataclasses import dataclass, fields

from . import presets


__all__ = ["Dram", "DRAMS", "get"]


MOST = 1 << 24
# What the model has room for, where that is not anything.
BOUNDS = {
    "ck_ps": (1, 10**6),
    "bus_bytes": (1, 64),
    "bl": (2, 64),
    "group_bits": (0, 4),
    "bank_bits": (0, 6),
    "column_bits": (0, 16),
    "queue": (1, 1024),
    "stall": (0, 255),
    "seed": (0, (1 << 31) - 1),
}


@dataclass(frozen=True, kw_only=True)
class Dram:
    """Timing and geometry of a DRAM channel. Timings are in cycles of the DRAM's clock.

    The model (`sim/fpga/dram.hpp`) issues one command per cycle, first ready, first come, from a
    queue; pages stay open. Refresh closes all banks.

    Parameters
    ----------
    name : :class:`str`
    peak : :class:`float`
        Peak bandwidth of its data bus, bytes/s, as its data sheet rounds it. Utilization is
        relative to it. 0: what `ck_ps` and `bus_bytes` make.
    ck_ps : :class:`int`
        Clock period. Data moves twice per clock.
    bus_bytes : :class:`int`
        Width of the data bus.
    bl : :class:`int`
        Burst length, in transfers.
    cl, cwl, rcd, ..., rfc, refi : :class:`int`
        Timings by their JEDEC names; `_s` within another bank group, `_l` within the same. A
        `refi` of 0 never refreshes.
    group_bits, bank_bits, column_bits : :class:`int`
        log2 of bank groups, of banks per group, and of bursts per row.
    mop : :class:`bool`
        Address map. False: row, bank, group, column. True ("MOP4/XOR"): row, upper column, bank,
        group, two bits of column; then group and bank are XORed with the column's lower bits, which
        spreads consecutive bursts over bank groups.
    queue : :class:`int`
        Requests that the scheduler chooses from.
    latency : :class:`int`
        Cycles that controller and interface add to each read.
    ideal : :class:`bool`
        No DRAM at all: `latency` is in cycles of the accelerator, and a beat moves in each of them.
    stall : :class:`int`
        Of 256 cycles, those in which a channel of the memory bus begins to pause. More than none,
        and latency and order are random too, within what AXI allows (`sim/fpga/memory.hpp`).
    seed : :class:`int`
        What chooses them.
    """

    name: str
    peak: float = 0.0
    ck_ps: int = 1000
    bus_bytes: int = 8
    bl: int = 8
    cl: int = 0
    cwl: int = 0
    rcd: int = 0
    rp: int = 0
    ras: int = 0
    rc: int = 0
    ccd_s: int = 4
    ccd_l: int = 4
    rrd_s: int = 0
    rrd_l: int = 0
    faw: int = 0
    wr: int = 0
    rtp: int = 0
    wtr_s: int = 0
    wtr_l: int = 0
    rfc: int = 0
    refi: int = 0
    group_bits: int = 0
    bank_bits: int = 3
    column_bits: int = 7
    mop: bool = False
    queue: int = 32
    latency: int = 0
    ideal: bool = False
    stall: int = 0
    seed: int = 0

    def __post_init__(self):
        def check(ok, what, value):
            if not ok:
                raise ValueError(f"DRAM {self.name!r}: {what}, not {value!r}")

        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "int" or field.type is int:
                low, high = BOUNDS.get(field.name, (0, MOST))
                check(
                    isinstance(value, int) and low <= value <= high,
                    f"{field.name} must be from {low} to {high}",
                    value,
                )
        for name in ("bus_bytes", "bl"):
            value = getattr(self, name)
            check(value & (value - 1) == 0, f"{name} must be a power of two", value)
        check(
            self.group_bits + self.bank_bits <= 6,
            "group_bits and bank_bits must be 6 at most",
            self.group_bits + self.bank_bits,
        )
        check(
            not self.mop or self.column_bits >= 2,
            "mop needs column_bits of 2 or more",
            self.column_bits,
        )
        check(
            not self.refi or self.refi > self.rfc, f"refi must be above rfc, {self.rfc}", self.refi
        )
        check(0 <= self.peak < float("inf"), "peak must be 0 or positive", self.peak)
        if not self.peak and not self.ideal:
            object.__setattr__(self, "peak", 2 * self.bus_bytes * 1e12 / self.ck_ps)

    @property
    def burst_bytes(self):
        """Bytes of one burst."""
        return self.bl * self.bus_bytes


DRAMS = {name: Dram(name=name, **values) for name, values in presets.read("drams").items()}


def get(name):
    """Look a DRAM up by name."""
    if name not in DRAMS:
        raise ValueError(f"dram must be one of {', '.join(DRAMS)}, not {name!r}")
    return DRAMS[name]
