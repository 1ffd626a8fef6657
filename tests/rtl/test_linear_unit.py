# amaranth: UnusedElaboratable=no

import pytest

from rtl.linear.combine import Combiner
from rtl.linear.embed import Embedder
from rtl.linear.row_scale import BIAS, RowScaler
from rtl.linear.unit import LinearUnit
from sw_ref import numerics


@pytest.mark.parametrize("component", [Combiner, Embedder, RowScaler, LinearUnit])
def test_config_wrong(component):
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        component("small")


def test_bias_is_that_of_the_reference():
    assert numerics.linear_scale(1, 1, BIAS) == 1
