"""Allocation: what lives at once lies apart, and what does not shares words."""

from random import Random

import pytest

from mapper.allocate import ALIGNMENT, Overlap, Piece, Storage, allocate, check


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
