# amaranth: UnusedElaboratable=no

import pytest

from rtl.linear.unpack import WeightUnpacker


def test_config_wrong():
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        WeightUnpacker("small")
