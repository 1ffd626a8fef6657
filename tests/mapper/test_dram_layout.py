"""KV caches in DRAM: of a window, a ring of blocks."""

from dataclasses import replace

import pytest

from mapper.dram_layout import Cache
from rtl.spec.config import get
from rtl.spec.numbers import KV_BLOCK


SMALL = get("small")
CONTEXT = 4096


def spanned(positions):
    """The most blocks that so many positions in a row lie in."""
    return max((first + positions - 1) // KV_BLOCK + 1 for first in range(KV_BLOCK))


@pytest.mark.parametrize("columns", [1, 2, 3, 8, 16])
@pytest.mark.parametrize("window", [1, 2, 31, 32, 33, 34, 63, 64, 65, 127, 128, 129, 1024])
def test_ring(window, columns):
    """It holds what the first column sees, and what the last one writes before, and no more; of
    one block there is none, since block numbers could not be divided by it."""
    config = replace(SMALL, columns=columns)
    cache = Cache.of(config, 3, CONTEXT, window)
    assert cache.blocks == max(2, spanned(window + columns - 1)) and cache.window == window
    assert cache.head_units == cache.blocks * config.kv_block_units
    assert cache.layer_units == 3 * cache.head_units


@pytest.mark.parametrize("context, blocks", [(1, 1), (32, 1), (33, 2), (96, 3), (97, 4)])
def test_without_a_window(context, blocks):
    """All positions; and the same where a window is as long."""
    plain = Cache.of(SMALL, 2, context, 0)
    assert (plain.blocks, plain.window) == (blocks, 0)
    assert Cache.of(SMALL, 2, context, context) == plain
    assert Cache.of(SMALL, 2, context, context + 1) == plain


@pytest.mark.parametrize("context, window, blocks", [(64, 40, 2), (32, 20, 1), (128, 127, 4)])
def test_a_window_whose_ring_is_no_shorter(context, window, blocks):
    """Blocks are those of the context, and positions before the window are still not seen."""
    cache = Cache.of(SMALL, 2, context, window)
    assert (cache.blocks, cache.window) == (blocks, window)
