"""Placement: the values of a model's graph, with their lifetimes, in the vector memory."""

from dataclasses import replace

import pytest

from mapper.allocate import Overlap, check
from mapper.families import FAMILIES
from mapper.passes import lowerable
from mapper.place import place
from mapper.sequencer_registers import COLUMN_WORDS
from rtl.spec.config import get

from .families.test_families import SIZES


@pytest.mark.parametrize("ffn", [64, 192, 320, 1536])
@pytest.mark.parametrize("name", ["small", "wide"])
def test_values_of_a_model(name, ffn):
    """Live areas of a placed graph lie apart, word by word, and the chunks' results side by
    side."""
    graph = lowerable(FAMILIES["llama"].graph(replace(SIZES, ffn=ffn)), 64)
    placed = place(graph, get(name), COLUMN_WORDS)
    owners = {}  # (word, time): storage
    for each in placed.storages:
        for piece in each.pieces:
            at = each.start + piece.offset
            for word in range(at, at + piece.words, 4):
                for time in range(piece.start, piece.end + 1):
                    assert owners.setdefault((word, time), each) is each
    parts = [
        area
        for value, area in placed.areas.items()
        if value.startswith("layer / ffn / silu ") and ":" not in value
    ]
    assert sum(area.size for area in parts) == ffn
    assert all(a.start + a.size == b.start for a, b in zip(parts, parts[1:]))


def test_a_value_that_moved_is_found():
    """The same check finds a mistake of the allocator."""
    placed = place(lowerable(FAMILIES["llama"].graph(SIZES), 64), get("small"), COLUMN_WORDS)
    check(placed.storages)
    placed.storages[1].start = placed.storages[0].start
    with pytest.raises(Overlap):
        check(placed.storages)
