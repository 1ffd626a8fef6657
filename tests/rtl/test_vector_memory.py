# amaranth: UnusedElaboratable=no

import pytest

from rtl.spec.config import get
from rtl.vector.memory import VectorMemory


@pytest.mark.parametrize("writers", [0, -1, 1.0, None])
def test_writers_error(writers):
    with pytest.raises(ValueError) as error:
        VectorMemory(get("small"), writers)
    assert str(error.value) == f"Number of writers must be a positive integer, not {writers!r}"
