# amaranth: UnusedElaboratable=no

import pytest

from rtl.fp.from_int import IntToFp


@pytest.mark.parametrize("width", [1, 65, 8.0])
def test_width_wrong(width):
    with pytest.raises(
        ValueError, match=rf"^Width must be an integer from 2 to 64, not {width!r}$"
    ):
        IntToFp(width)
