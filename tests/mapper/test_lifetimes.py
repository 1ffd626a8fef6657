"""Lifetimes: what lives at once lies apart, and what does not shares words."""

from random import Random

import pytest

from mapper.families import FAMILIES
from mapper.lifetimes import ALIGNMENT, Overlap, Piece, Storage, allocate, check
from mapper.passes import lowerable
from mapper.place import place
from mapper.registers import COLUMN_WORDS
from rtl.spec.config import get

from .families.test_families import SIZES


def storage(name, words, start, end, at=None):
    return Storage([Piece(name, 0, words, start, end)], at)


def test_dead_words_are_taken_again():
    first, second, third = storage("a", 64, 0, 3), storage("b", 64, 2, 9), storage("c", 64, 4, 5)
    assert allocate([first, second, third]) == 128
    assert (first.start, second.start, third.start) == (0, 64, 0)


def test_pieces_are_taken_one_by_one():
    """A result grows over the halves of what it is made from, as they are used up."""
    source = Storage([Piece("low", 0, 64, 0, 4), Piece("high", 64, 64, 0, 8)])
    result = Storage([Piece("first", 0, 64, 5, 12), Piece("second", 64, 64, 9, 12)])
    assert allocate([source, result]) == 128
    assert source.start == result.start == 0


@pytest.mark.parametrize(
    "start, at, meet", [(3, 0, True), (3, 63, True), (3, 64, False), (4, 0, False), (4, 63, False)]
)
def test_overlap_is_found(start, at, meet):
    live = [storage("a", 64, 0, 3, 0), storage("b", 64, start, 9, at)]
    if not meet:
        check(live)
        return
    with pytest.raises(Overlap) as caught:
        check(live)
    assert (
        str(caught.value)
        == f"Live values must lie apart, not b from {start} to 9 and a from 0 to 3"
    )


@pytest.mark.parametrize("seed", range(20))
def test_random(seed):
    """Nothing that lives at once shares a word, and all begin at lines."""
    random, made = Random(seed), []
    for n in range(40):
        pieces, offset = [], 0
        for part in range(random.randint(1, 3)):
            start = random.randint(0, 50)
            words = 4 * random.randint(1, 50)
            pieces.append(Piece(f"{n}.{part}", offset, words, start, start + random.randint(0, 20)))
            offset += words
        made.append(Storage(pieces))
    end = allocate(made)
    check(made)
    assert all(each.start % ALIGNMENT == 0 and each.start + each.words <= end for each in made)
    # At no time lives more than there is, and once nearly as much: words are not wasted at will.
    most = max(
        sum(p.words for s in made for p in s.pieces if p.start <= t <= p.end) for t in range(71)
    )
    assert most <= end < 3 * most


@pytest.mark.parametrize("ffn", [64, 192, 320, 1536])
@pytest.mark.parametrize("name", ["small", "wide"])
def test_values_of_a_model(name, ffn):
    """Live areas of a placed graph lie apart, word by word, and the chunks' results side by
    side."""
    from dataclasses import replace

    graph = lowerable(FAMILIES["llama"].graph(replace(SIZES, ffn=ffn)))
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
    placed = place(lowerable(FAMILIES["llama"].graph(SIZES)), get("small"), COLUMN_WORDS)
    check(placed.storages)
    placed.storages[1].start = placed.storages[0].start
    with pytest.raises(Overlap):
        check(placed.storages)
