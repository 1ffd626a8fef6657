"""Bursts of the DRAM, beside figures of the model in front of which RTL runs."""

from dataclasses import replace

import pytest

from mapper.estimate.dram import Memory
from rtl.spec.config import CONFIGS


BEATS = 64


def share(config, dram, bursts=4000):
    """Share of the peak that a sequential stream has."""
    memory = Memory(dram, config.beat_bytes, config.clock_mhz)
    for n in range(bursts):
        _, last = memory.read(max(0, memory.bus_free - 500), n * BEATS * config.beat_bytes, BEATS)
    return bursts * BEATS * config.beat_bytes * config.clock_mhz * 1e6 / last / config.dram_peak


@pytest.mark.parametrize("name, expected", [("small", 0.974), ("wide", 0.9505)])
def test_ceiling(name, expected):
    """What the DRAM models in C++ give to a sequential stream."""
    config = CONFIGS[name]
    assert share(config, config.dram) == pytest.approx(expected, abs=0.002)


@pytest.mark.parametrize("field, value", [("rfc", 800), ("ccd_s", 5), ("refi", 3000)])
def test_timings_count(field, value):
    config = CONFIGS["wide"]
    assert share(config, replace(config.dram, **{field: value})) < 0.94


def test_latency():
    """A read of a closed row takes its opening, its latency, and the burst."""
    config = CONFIGS["wide"]
    dram = replace(config.dram, refi=0)
    memory = Memory(dram, config.beat_bytes, config.clock_mhz)
    first, last = memory.read(100, 0, 1)
    clocks = dram.rcd + dram.cl + dram.bl / 2 + dram.latency
    assert first == last == pytest.approx(101 + clocks / memory.clocks)
    again, _ = memory.read(1000, 0, 1)
    assert again == pytest.approx(1001 + (clocks - dram.rcd) / memory.clocks)


def test_writes_turn_the_bus():
    """Reads behind a write wait for the bus to turn twice."""
    config = CONFIGS["small"]
    dram = replace(config.dram, refi=0)
    ends = []
    for writes in 0, 1:
        memory = Memory(dram, config.beat_bytes, config.clock_mhz)
        memory.read(0, 0, BEATS)
        if writes:
            memory.write(10, (1 << 20) + 2048)  # in another bank
        ends.append(memory.read(20, BEATS * config.beat_bytes, BEATS)[1])
    assert memory.turns == 1
    turn = dram.cwl + dram.bl / 2 + dram.wtr_l
    assert ends[1] - ends[0] >= turn / memory.clocks


def test_ideal():
    """A beat a cycle, after the latency."""
    config = replace(CONFIGS["small"], dram="ideal")
    memory = Memory(config.dram, config.beat_bytes, config.clock_mhz)
    assert memory.read(10, 0, 4) == (31, 34)
    assert memory.read(11, 64, 4) == (35, 38)
