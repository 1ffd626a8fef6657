"""DRAM devices that the simulated FPGA can have, and the C++ structure that describes one."""

import ctypes
from dataclasses import asdict, dataclass, fields, replace

from host.errors import UserError


__all__ = ["Dram", "DRAMS", "get", "adverse", "header", "c_struct"]


STALLS = (1, 4, 16, 48)   # from a pause now and then to a bus that mostly waits


@dataclass(frozen=True, kw_only=True)
class Dram:
    """Timing and geometry of a DRAM channel. Timings are in cycles of the DRAM's clock.

    The model (`sim/fpga/dram.hpp`) issues one command per cycle, first ready, first come, from a
    queue; pages stay open. Refresh closes all banks.

    Attributes
    ----------
    ck_ps : :class:`int`
        Clock period, in picoseconds. Data moves twice per clock.
    bus_bytes : :class:`int`
        Width of the data bus.
    bl : :class:`int`
        Burst length, in transfers.
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

    @property
    def burst_bytes(self):
        """Bytes of one burst."""
        return self.bl * self.bus_bytes

    @property
    def peak(self):
        """Bytes per second of the data bus."""
        return 2 * self.bus_bytes * 1e12 / self.ck_ps


DRAMS = {
    # Boards' memories at their accelerators' clocks. SDR at 50 MHz: 4 banks, 2-1-1, taken for one
    # whose data move twice in two of its clocks, so that figures are rounded up to even ones. The peak is 100 MB/s.
    "sdr-50-x16": Dram(ck_ps=40000, bus_bytes=2, cl=1, cwl=0, rcd=1, rp=1, ras=2, rc=2, rrd_s=1, rrd_l=1,
                       wr=1, rtp=1, rfc=2, refi=195, bank_bits=2, column_bits=6, latency=5),
    # DDR3 at 120 and 150 MHz, below what its DLL is specified for. The peaks are 480 and 600 MB/s.
    "ddr3-240-x16": Dram(ck_ps=8333, bus_bytes=2, cl=6, cwl=5, rcd=2, rp=2, ras=5, rc=6,
                         rrd_s=4, rrd_l=4, faw=5, wr=2, rtp=4, wtr_s=4, wtr_l=4, rfc=32, refi=936,
                         bank_bits=3, column_bits=7, latency=20),
    "ddr3-300-x16": Dram(ck_ps=6667, bus_bytes=2, cl=6, cwl=5, rcd=3, rp=3, ras=6, rc=8,
                         rrd_s=4, rrd_l=4, faw=6, wr=3, rtp=4, wtr_s=4, wtr_l=4, rfc=39, refi=1170,
                         bank_bits=3, column_bits=7, latency=20),
    # 2 Gb parts, 6-6-6. The peak is 1.6 GB/s.
    "ddr3-800-x16": Dram(ck_ps=2500, bus_bytes=2, cl=6, cwl=5, rcd=6, rp=6, ras=15, rc=21,
                         rrd_s=4, rrd_l=4, faw=20, wr=6, rtp=4, wtr_s=4, wtr_l=4, rfc=64, refi=3120,
                         bank_bits=3, column_bits=7, latency=20),
    # 8 Gb x8 parts, DDR4-2400R. The peak is 19.2 GB/s.
    "ddr4-2400-x64": Dram(ck_ps=833, bus_bytes=8, cl=16, cwl=12, rcd=16, rp=16, ras=39, rc=55,
                          ccd_s=4, ccd_l=6, rrd_s=4, rrd_l=6, faw=26, wr=18, rtp=9, wtr_s=3, wtr_l=9,
                          rfc=421, refi=9363, group_bits=2, bank_bits=2, column_bits=7, mop=True,
                          latency=40),
    "ideal": Dram(ideal=True, latency=20),
}


def get(name):
    """Look a DRAM up by name."""
    if name not in DRAMS:
        raise UserError(f"DRAM must be one of {', '.join(DRAMS)}, not {name!r}")
    return DRAMS[name]


def adverse(random):
    """One of the fast DRAMs, behind a memory bus that at random does whatever AXI allows."""
    fast = [dram for dram in DRAMS.values() if dram.ideal or dram.peak > 1e9]
    return replace(random.choice(fast), stall=random.choice(STALLS),
                   seed=random.getrandbits(31))


def header():
    """Text of the C++ header that declares the structure :func:`c_struct` makes."""
    members = "".join(f"    int32_t {f.name};\n" for f in fields(Dram))
    return f"// Generated by sim/dram.py.\n#pragma once\n#include <cstdint>\nstruct DramParams {{\n{members}}};\n"


class _Struct(ctypes.Structure):
    _fields_ = [(f.name, ctypes.c_int32) for f in fields(Dram)]


def c_struct(dram):
    """`dram` as the harness takes it."""
    return _Struct(**{name: int(value) for name, value in asdict(dram).items()})
