# amaranth: UnusedElaboratable=no

import pytest

from rtl.vector.quantizer import Quantizer


def test_config_wrong():
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        Quantizer("small")
