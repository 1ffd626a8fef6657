# amaranth: UnusedElaboratable=no

import pytest

from rtl.bus.arbiter import Arbiter


@pytest.mark.parametrize("width", [0, 1, "4"])
def test_identifiers_wrong(width):
    with pytest.raises(
        ValueError, match=rf"^Identifiers must have at least 2 bits, not {width!r}$"
    ):
        Arbiter(20, 128, width)
