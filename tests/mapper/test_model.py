"""Rows of a file's queries and keys in the graph's order."""

import numpy as np
import pytest

from mapper.read.row_order import half_split


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("head_dim, dim", [(64, 64), (64, 32), (64, 2), (80, 20), (128, 96)])
def test_half_split(head_dim, dim, interleaved):
    """Pairs that are rotated come to lie half a head apart, at their frequency's place; what is not
    rotated fills the rest of both halves, in the file's order."""
    order = half_split(3, head_dim, dim, interleaved).reshape(3, head_dim)
    for head, its in enumerate(order - head_dim * np.arange(3)[:, None]):
        assert sorted(its) == [*range(head_dim)], head
        first, second = its[: head_dim // 2], its[head_dim // 2 :]
        for n in range(dim // 2):
            pair = (2 * n, 2 * n + 1) if interleaved else (n, n + dim // 2)
            assert (first[n], second[n]) == pair
        assert [*first[dim // 2 :], *second[dim // 2 :]] == [*range(dim, head_dim)]


def test_all_of_a_head_is_rotated_by_default():
    np.testing.assert_array_equal(half_split(2, 64), half_split(2, 64, 64, True))
    np.testing.assert_array_equal(half_split(2, 64, interleaved=False), np.arange(128))
