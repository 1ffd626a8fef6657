"""The DRAM model keeps its timing, and reaches the efficiency that Ramulator 2.1 gives."""

import ctypes

import numpy as np
import pytest

from rtl.spec.dram import DRAMS, get
from sim.fpga.build import dram_library
from sim.fpga.dram_params import c_struct

from .dram_checker import ACT, PRE, RD, WR, violations


pytestmark = pytest.mark.seconds(1)

COUNT = 40_000


def simulate(dram, indices, write=None):
    """Run bursts through the model; returns its cycles, and its commands as tuples."""
    lib = ctypes.CDLL(str(dram_library()))
    lib.dram_run.restype = ctypes.c_int64
    indices = np.ascontiguousarray(indices, np.uint64)
    write = (
        np.zeros(len(indices), np.uint8) if write is None else np.ascontiguousarray(write, np.uint8)
    )
    event = np.dtype(
        [
            ("cycle", np.int64),
            *((n, np.int32) for n in ("command", "group", "bank", "row", "column")),
        ],
        align=True,
    )
    trace, used = np.zeros(4 * len(indices) + 1000, event), ctypes.c_uint64()
    cycles = lib.dram_run(
        ctypes.byref(c_struct(dram)),
        indices.ctypes.data_as(ctypes.c_void_p),
        write.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_uint64(len(indices)),
        trace.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_uint64(len(trace)),
        ctypes.byref(used),
    )
    assert cycles > 0 and used.value <= len(trace)
    return cycles, [tuple(int(x) for x in row) for row in trace[: used.value]]


def pattern(dram, size):
    """Bursts of `size` bytes at random aligned places; in sequence if `size` is None."""
    if size is None:
        return np.arange(COUNT)
    run = max(1, size // dram.burst_bytes)
    starts = np.random.default_rng(7).integers(
        0, (1 << 30) // dram.burst_bytes // run, COUNT // run
    )
    return (starts[:, None] * run + np.arange(run)).ravel()


@pytest.mark.parametrize(
    "name, size, expected",
    [
        # Measured with Ramulator 2.1, open page, 32-deep queue.
        ("ddr3-800-x16", None, 97.5),
        ("ddr3-800-x16", 4096, 97.5),
        ("ddr3-800-x16", 256, 96.5),
        ("ddr3-800-x16", 16, 78),
        ("ddr4-2400-x64", None, 94),
        ("ddr4-2400-x64", 4096, 93),
        ("ddr4-2400-x64", 256, 59),
        ("ddr4-2400-x64", 64, 59),
    ],
)
def test_efficiency(name, size, expected):
    dram = get(name)
    indices = pattern(dram, size)
    cycles, _ = simulate(dram, indices)
    assert 100 * len(indices) * dram.bl / 2 / cycles == pytest.approx(expected, abs=3)


@pytest.mark.parametrize("name", [n for n, d in DRAMS.items() if not d.ideal])
@pytest.mark.parametrize("size", [None, 4096, 64])
@pytest.mark.parametrize("writes", [0, 0.1, 0.5])
def test_timing_is_kept(name, size, writes):
    dram = get(name)
    indices = pattern(dram, size)
    write = np.random.default_rng(8).random(len(indices)) < writes
    _, trace = simulate(dram, indices, write)
    assert list(violations(dram, trace))[:5] == []
    done = sum(t[1] in (RD, WR) for t in trace)
    assert done == len(indices)
    assert sum(t[1] == WR for t in trace) == write.sum()


def test_bursts_have_places_of_their_own():
    for name in ("ddr3-800-x16", "ddr4-2400-x64"):
        _, trace = simulate(get(name), np.arange(20_000))
        places = {t[2:] for t in trace if t[1] == RD}
        assert len(places) == 20_000


def test_checker_finds_violations():
    dram = get("ddr4-2400-x64")
    good = [
        (0, ACT, 0, 0, 5, 0),
        (16, RD, 0, 0, 5, 0),
        (39, PRE, 0, 0, 5, 0),
        (55, ACT, 0, 0, 6, 0),
    ]
    assert list(violations(dram, good)) == []
    for index, earlier in [(1, 15), (2, 38), (3, 54)]:
        bad = list(good)
        bad[index] = (earlier, *good[index][1:])
        assert list(violations(dram, bad)), f"command {index} a cycle early must be found"
