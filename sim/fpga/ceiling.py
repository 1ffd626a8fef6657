"""What a memory gives to a plain sequential stream: the ceiling of every machine beside it."""

import ctypes
from functools import lru_cache

import numpy as np

from .build import dram_library
from .dram_params import c_struct


__all__ = ["SPENT", "ceiling"]


SPENT = 6  # numbers that say what the clocks went for
BURSTS = 40_000  # some refreshes, and many rows


def ceiling(config):
    """Share of the peak of a configuration's memory, from 0 to 1, that reading in sequence gets, by
    the DRAM model itself, and through the machine's port."""
    port = config.beat_bytes * config.clock_mhz * 1e6 / config.dram_peak
    return min(port, 1.0 if config.dram.ideal else _sequential(config.dram))


@lru_cache(maxsize=64)
def _sequential(dram):
    library = ctypes.CDLL(str(dram_library()))
    library.dram_run.restype = ctypes.c_int64
    indices, writes = np.arange(BURSTS, dtype=np.uint64), np.zeros(BURSTS, np.uint8)
    clocks = library.dram_run(
        ctypes.byref(c_struct(dram)),
        indices.ctypes.data_as(ctypes.c_void_p),
        writes.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_uint64(BURSTS),
        None,
        ctypes.c_uint64(0),
        ctypes.byref(ctypes.c_uint64()),
        (ctypes.c_int64 * SPENT)(),
    )
    assert clocks > 0, "the DRAM model is stuck"
    return BURSTS * dram.bl / 2 / clocks
