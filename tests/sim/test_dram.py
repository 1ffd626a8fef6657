"""The DRAM model keeps its timing, and reaches the efficiency that Ramulator 2.1 gives."""

import ctypes
from dataclasses import replace

import numpy as np
import pytest

from rtl.spec import config
from rtl.spec.dram import DRAMS, get
from sim.fpga.build import dram_library
from sim.fpga.ceiling import SPENT, ceiling
from sim.fpga.dram_params import c_struct

from .dram_checker import ACT, PRE, RD, WR, violations


pytestmark = pytest.mark.seconds(1)

COUNT = 40_000
WAITS = ("idle", "refreshing", "opening", "turning", "spacing")


def simulate(dram, indices, write=None):
    """Run bursts through the model; returns its cycles, and its commands as tuples."""
    return run(dram, indices, write)[:2]


def run(dram, indices, write=None):
    """Cycles of the model, its commands, and what its clocks went for by name."""
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
        spent := (ctypes.c_int64 * SPENT)(),
    )
    assert cycles > 0 and used.value <= len(trace)
    commands = [tuple(int(x) for x in row) for row in trace[: used.value]]
    return cycles, commands, dict(zip((*WAITS, "conflicts"), spent))


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


@pytest.mark.parametrize("name", [name for name in DRAMS if name != "ideal"])
@pytest.mark.parametrize(
    "scattered, writes, most", [(False, 0, "refreshing"), (True, 0, "opening"), (False, 0.5, None)]
)
def test_where_clocks_go(name, scattered, writes, most):
    """Each clock up to the last transfer has one reason; of those lost, most have the reason that
    the pattern gives."""
    dram = get(name)
    indices = pattern(dram, dram.burst_bytes if scattered else None)[: COUNT // 4]
    write = np.random.default_rng(1).random(len(indices)) < writes
    _, commands, spent = run(dram, indices, write)
    last = max(cycle for cycle, command, *_ in commands if command in (RD, WR))
    waits = sum(spent[each] for each in WAITS[1:])  # there is always a request
    assert len(indices) * dram.bl // 2 + waits == last + dram.bl // 2
    assert (spent["turning"] > last // 500) == (writes > 0)
    slow = scattered and name in ("ddr3-240-x16", "sdr-50-x16")  # whose rows open in time
    if most and not slow:
        assert max(WAITS[1:], key=spent.get) == most, spent
    assert spent["conflicts"] <= sum(command == PRE for _, command, *_ in commands)
    assert (spent["conflicts"] > len(indices) // 20) == scattered


@pytest.mark.parametrize("name, share", [("small", 97.4), ("wide", 95.05)])
def test_ceiling(name, share):
    """What a sequential stream gets; not more than the port takes, and all of an ideal memory."""
    its = config.get(name)
    assert 100 * ceiling(its) == pytest.approx(share, abs=0.5)
    slow = replace(its, clock_mhz=its.clock_mhz / 2)
    assert ceiling(slow) == pytest.approx(0.5)
    assert ceiling(replace(its, dram="ideal")) == 1
