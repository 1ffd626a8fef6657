"""Beats and cycles of matrices."""

import numpy as np
import pytest

from mapper.estimate.hardware import hardware
from mapper.estimate.matrices import dense_work, sparse_work
from rtl.spec.config import CONFIGS
from rtl.spec.formats import FORMATS, stream_units
from rtl.spec.isa import WeightFormat


MACHINES = [CONFIGS[name] for name in ("small", "wide", "wide-lut", "small-dspchain")]
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
