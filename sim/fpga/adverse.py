"""Adverse DRAMs: behind a memory bus that at random does whatever AXI allows (`memory.hpp`)."""

from dataclasses import replace

from rtl.spec.dram import DRAMS


__all__ = ["STALLS", "adverse"]


STALLS = (1, 4, 16, 48)  # from a pause now and then to a bus that mostly waits


def adverse(random):
    """One of the fast DRAMs with random stalls, chosen by a :class:`random.Random`."""
    fast = [dram for dram in DRAMS.values() if dram.ideal or dram.peak > 1e9]
    return replace(random.choice(fast), stall=random.choice(STALLS), seed=random.getrandbits(31))
