# amaranth: UnusedElaboratable=no
"""Constants and shapes of the attention unit that its benches do not see."""

import pytest

from host.configurations import named
from rtl.attention.append import KvAppend
from rtl.attention.cap import ScoreCap
from rtl.attention.products import ProductArray, sum_latency
from rtl.attention.scores import BIAS, MAX_LEFT
from rtl.attention.softmax import EXP2
from rtl.attention.unit import AttentionUnit
from rtl.spec.config import Config
from rtl.spec.numbers import SCORE_BITS
from sw_ref import attention as reference


def test_reference():
    assert EXP2 == reference.EXP2.tolist()


def test_shift_range():
    # Every exponent's shift is either reached, or as good as the limit: see Scorer.
    dot = 2**15 * 2**7 * 128
    assert 1 << MAX_LEFT > 1 << SCORE_BITS - 1
    assert dot << MAX_LEFT < 1 << 63
    assert BIAS + MAX_LEFT < 1 << 10 and BIAS + MAX_LEFT - 2 * 255 >= -(1 << 10)


@pytest.mark.parametrize("name", named())
def test_ports(name):
    config = named()[name]
    unit = AttentionUnit(config)
    assert len(unit.data.payload) == config.beat_bits
    assert len(unit.query.p.values.as_value()) == 16 * config.lanes
    assert len(KvAppend(config).line.payload.as_value()) == 33 + 512 + 64  # addresses do not wrap


@pytest.mark.parametrize("beat_bits, latency", [(16, 3), (64, 4), (128, 4), (256, 5), (512, 5)])
def test_sums(beat_bits, latency):
    config = Config(name="test", beat_bits=beat_bits, columns=1, lanes=4)
    assert sum_latency(config) == latency
    assert len(ProductArray(config).sums[0]) == 24 + (beat_bits // 8 - 1).bit_length()


def test_no_cap():
    """It is not built, and nothing is to be configured without it."""
    config = Config(name="test", beat_bits=128, columns=1, lanes=4)
    with pytest.raises(ValueError, match="^config must have a score_cap, not 0.0$"):
        ScoreCap(config)
