"""Beats and cycles of matrices."""

from dataclasses import replace

import numpy as np
import pytest

from mapper.estimate.hardware import hardware
from mapper.estimate.matrices import dense_work, sparse_work
from rtl.spec.config import CONFIGS
from rtl.spec.formats import FORMATS, stream_units
from rtl.spec.isa import WeightFormat


MACHINES = [CONFIGS[name] for name in ("small", "wide", "wide-lut", "small-dspchain")]
NARROW = replace(CONFIGS["small"], name="narrow", beat_bits=64)
ROWS, GROUPS = 200, 7


@pytest.mark.parametrize("config", MACHINES, ids=lambda config: config.name)
def test_dense(config):
    """As many units as are packed, and no fewer cycles than blocks have beats."""
    for fmt in config.weight_formats:
        its = FORMATS[fmt]
        if not its.sparse:
            work = dense_work(fmt, ROWS, GROUPS, config, hardware(config))
            assert work.units == stream_units(fmt, ROWS, GROUPS, config.word_bytes)
            blocks = -(-ROWS // config.block_rows)
            assert work.cycles >= blocks * its.block_beats(GROUPS, config.word_bytes)
            assert work.tiles * work.slices * config.rows >= ROWS


@pytest.mark.parametrize("config", MACHINES, ids=lambda config: config.name)
def test_sparse(config):
    fmt, rng = WeightFormat.SPARSE4, np.random.default_rng(1)
    its = FORMATS[fmt]
    codes = rng.integers(-8, 8, (ROWS, 32 * GROUPS)).astype(np.int8)
    codes[:, rng.random(32 * GROUPS) < 0.7] = 0
    scale = np.ones((ROWS, GROUPS), np.uint8)
    packed = its.pack(codes, scale, scale.view(np.int8), np.ones(ROWS, "f4"), config.word_bytes)
    work = sparse_work(fmt, ROWS, GROUPS, np.frombuffer(packed, np.uint8), config, hardware(config))
    assert work.units == len(packed) // 64
    assert work.cycles >= work.beats - config.unit_beats


def sparse(config, rows, groups):
    """A matrix of dense blocks alone, packed as sparse ones are: codes of 4 bits."""
    fmt = WeightFormat.SPARSE4
    one = np.ones((rows, groups), np.uint8)
    packed = FORMATS[fmt].pack(
        np.ones((rows, 32 * groups), np.int8),
        one,
        one.view(np.int8),
        np.ones(rows, "f4"),
        config.word_bytes,
    )
    data = np.frombuffer(packed, np.uint8)
    return sparse_work(fmt, rows, groups, data, config, hardware(config))


def test_short_stripes():
    """The core stands still between stripes, for their row scales and headers, but for the steps
    that wait; so many short ones take longer than few long ones.
    """
    config = CONFIGS["small"]
    short, long = sparse(config, 256, 1), sparse(config, 16, 16)
    blocks = 2 * 16
    assert long.tiles == 1 and short.tiles == 16
    assert blocks * 16 < long.cycles < blocks * 16 + 16
    # Four beats of row scales, and a header, its beat and a cycle; two steps of two cycles wait.
    assert short.cycles - long.cycles == 15 * (4 + 2 + 1 - 2 * 2)


def test_parts():
    """Where a step has parts, the last steps of a gear take the time of scales, and no other."""
    for fmt in (WeightFormat.TERNARY, WeightFormat.S8):
        wide, narrow = (dense_work(fmt, 64, 10, c, hardware(c)) for c in (CONFIGS["small"], NARROW))
        assert narrow.units == wide.units and narrow.beats == 2 * wide.beats
    ternary = dense_work(WeightFormat.TERNARY, 64, 10, NARROW, hardware(NARROW))
    steps = 64 // 2 * 10
    assert ternary.cycles == 2 * steps > ternary.beats
