# amaranth: UnusedElaboratable=no

import pytest

from rtl.linear.activations import ActivationBuffer
from rtl.spec.config import Config


def test_config_wrong():
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        ActivationBuffer("small")


@pytest.mark.parametrize("inputs, lanes", [(3, 4), (4, 2)])
def test_inputs_wrong(inputs, lanes):
    with pytest.raises(
        ValueError,
        match=rf"^Inputs of a table must be 1, 2 or 4 and at most the {lanes} lanes, "
        rf"not {inputs}$",
    ):
        ActivationBuffer(Config(name="t", beat_bits=128, columns=1, lanes=lanes), inputs)
