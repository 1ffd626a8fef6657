# amaranth: UnusedElaboratable=no

import pytest

from rtl.linear.activations import ActivationBuffer
from rtl.spec.config import Config


def test_config_wrong():
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        ActivationBuffer("small")


@pytest.mark.parametrize(
    "inputs, lanes, beat_bits, most", [(3, 4, 128, 4), (4, 2, 128, 2), (4, 4, 16, 2)]
)
def test_inputs_wrong(inputs, lanes, beat_bits, most):
    with pytest.raises(
        ValueError,
        match=rf"^Inputs of a table must be 1, 2 or 4, and at most {most}, the lanes and half a "
        rf"part's elements, not {inputs}$",
    ):
        ActivationBuffer(Config(name="t", beat_bits=beat_bits, columns=1, lanes=lanes), inputs)
