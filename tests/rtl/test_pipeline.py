# amaranth: UnusedElaboratable=no

import pytest

from rtl.linear.pipeline import LinearPipeline


def test_config_wrong():
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        LinearPipeline("small")
