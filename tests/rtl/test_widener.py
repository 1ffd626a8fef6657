# amaranth: UnusedElaboratable=no

import pytest

from rtl.bus.widener import AXI4Widener


@pytest.mark.parametrize("width", [32, 64, 192, 100])
def test_width_wrong(width):
    with pytest.raises(
        ValueError, match=rf"^Memory's width must be 2, 4, 8, … times 64, not {width}$"
    ):
        AXI4Widener(20, 64, 4, width)
