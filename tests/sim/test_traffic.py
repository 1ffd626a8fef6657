"""Bandwidth over time, of counts of beats."""

import numpy as np

from rtl.spec.config import get
from sim.fpga.traffic import CLIENTS, MOST, bandwidth


CONFIG = get("small")


def counts(length, period=256):
    """Each cycle a beat of weights, every other a beat of the cache, and nothing else."""
    cycles = period * np.arange(1, length + 1, dtype=np.uint64)
    nothing = np.zeros_like(cycles)
    return np.stack([cycles, cycles, cycles // 2, nothing, nothing, nothing], 1)


def test_rates():
    points = list(bandwidth(counts(3), CONFIG))
    peak = CONFIG.beat_bytes * CONFIG.clock_mhz * 1e6
    assert [cycle for cycle, _ in points] == [256, 512]
    for _, rates in points:
        assert rates == dict(zip(CLIENTS, (peak, peak / 2, 0, 0, 0)))


def test_long_recordings_have_fewer_points():
    points = list(bandwidth(counts(5 * MOST), CONFIG))
    assert MOST // 2 < len(points) <= MOST
    assert len({rates["weights"] for _, rates in points}) == 1


def test_nothing_recorded():
    assert list(bandwidth(np.zeros((0, 6), np.uint64), CONFIG)) == []
