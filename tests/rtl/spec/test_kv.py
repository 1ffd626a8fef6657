"""Blocks of a window's ring, beside a model of one: a list in which blocks are overwritten."""

import pytest

from rtl.spec import kv
from rtl.spec.numbers import KV_BLOCK


UNITS, ADDR = kv.block_units(64), 1000
WINDOWS = [1, 2, 31, 32, 33, 34, 63, 64, 65, 100]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("spare", [0, 1, 2])
def test_ring(window, spare):
    """At every position a ring that is just large enough still holds all of the window."""
    count = kv.ring_blocks(1 << 20, window) + spare
    ring = [None] * count
    for position in range(20 * KV_BLOCK):
        number = position // KV_BLOCK
        ring[number % count] = number
        newest = ADDR + number % count * UNITS
        length = position + 1
        found = kv.blocks(UNITS, ADDR, count * UNITS, length, window, newest)
        first = kv.first_position(length, window)
        assert first == max(0, length - window)
        wanted = [*range(first // KV_BLOCK, number + 1)]
        assert [ring[(block - ADDR) // UNITS] for block in found] == wanted


@pytest.mark.parametrize("window", WINDOWS)
def test_a_smaller_ring_is_too_small(window):
    """At some position, where the context is long enough."""
    count = kv.ring_blocks(1 << 20, window)
    most = max(
        (length - 1) // KV_BLOCK - kv.first_position(length, window) // KV_BLOCK + 1
        for length in range(1, 20 * KV_BLOCK)
    )
    assert most == count


def test_ring_of_a_short_context():
    assert [kv.ring_blocks(length, 1000) for length in (1, 32, 33, 1000, 1025)] == [1, 1, 2, 32, 33]


def test_without_a_window():
    """All blocks from the first on, wherever `newest` is and whatever the stride."""
    assert kv.blocks(UNITS, ADDR, 3, 70, 0, 7) == [ADDR, ADDR + UNITS, ADDR + 2 * UNITS]
    assert kv.first_position(70, 0) == 0
