# amaranth: UnusedElaboratable=no

import pytest

from rtl.linear.group_scale import GroupScaler


def test_config_wrong():
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        GroupScaler("small", set())
