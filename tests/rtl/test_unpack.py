# amaranth: UnusedElaboratable=no

import pytest

from rtl.linear.block import BlockWalker
from rtl.linear.gather import Gather
from rtl.linear.stripe import StripeWalker
from rtl.linear.trits import TritDecoder
from rtl.linear.unpack import SCALE_BEATS, WeightUnpacker
from rtl.spec.config import Config, get


@pytest.mark.parametrize("cls", [WeightUnpacker, Gather, BlockWalker, StripeWalker, TritDecoder])
def test_config_wrong(cls):
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        cls("small")


def test_row_scales_held():
    """Four blocks', or the eight beats of two stripes."""
    assert SCALE_BEATS(get("wide")) == 8
    dense = Config(name="dense", beat_bits=128, columns=1, lanes=4, formats=("U4", "S8", "TERNARY"))
    assert SCALE_BEATS(dense) == 4
