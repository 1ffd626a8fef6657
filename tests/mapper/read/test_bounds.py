import numpy as np
import pytest

from host.errors import UserError
from mapper.read.bounds import LARGEST, LEAST_ROW_SCALE, brief, check_values


def test_brief():
    assert brief("a\n  b") == r"'a\n b'"
    assert brief(np.arange(3)) == "array([0, 1, 2])"
    long = brief("x" * 1000)
    assert len(long) == 60 and long.endswith("...")
    nest = []
    for _ in range(100_000):
        nest = [nest]
    assert brief(nest) == "a list that is nested too deeply"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -1e38])
@pytest.mark.parametrize("order, row", [(None, 2), ([5, 4, 3], 3)])
def test_refused(value, order, row):
    values = np.ones((3, 4), np.float32)
    values[2, 1] = value
    with pytest.raises(UserError) as info:
        check_values("m", "w", values, order)
    assert str(info.value) == (
        "m: tensor 'w' must be finite, with magnitudes up to 8.5e+37, not "
        f"{value:.3g} in row {row}; get the file again"
    )


def test_taken():
    edge = np.array([LARGEST, -LARGEST, 0, 1e-45], np.float32)
    check_values("m", "w", edge)
    check_values("m", "w", edge.reshape(2, 2)[:0])
    with np.errstate(all="raise"):
        assert np.isfinite(edge[0] - edge[1]) and np.isfinite(1 / LEAST_ROW_SCALE)
