# amaranth: UnusedElaboratable=no

import pytest

from rtl.linear.activations import WINDOW, ActivationBuffer
from sw_ref import numerics


def test_config_wrong():
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        ActivationBuffer("small")


def test_window_is_that_of_the_definition():
    assert WINDOW == numerics.WINDOW
