# amaranth: UnusedElaboratable=no

import pytest

from rtl.vector.reduce import Reduce


@pytest.mark.parametrize("lanes", [0, 1, 3, 32, 64, "4"])
def test_lanes_error(lanes):
    with pytest.raises(ValueError) as error:
        Reduce(lanes)
    assert str(error.value) == f"Lane count must be a power of two from 2 to 16, not {lanes!r}"
