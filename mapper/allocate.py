"""Allocate words of the vector memory, so that what never lives at once shares them.

Time is counted in half steps of the linear order of nodes, as :mod:`mapper.lifetimes` has it.
"""

from dataclasses import dataclass, field


__all__ = ["ALIGNMENT", "Overlap", "Piece", "Storage", "allocate", "check"]


ALIGNMENT = 64  # words: whatever the lanes are, and whole lines of DRAM


@dataclass(frozen=True)
class Piece:
    """Words of a storage that hold a value from time `start` to time `end`, both included."""

    name: str
    offset: int
    words: int
    start: int
    end: int

    def meets(self, other, distance):
        """Whether both hold a word at once, where `other` lies `distance` words behind."""
        at = other.offset + distance
        return (
            self.start <= other.end
            and other.start <= self.end
            and self.offset < at + other.words
            and at < self.offset + self.words
        )

    def __str__(self):
        return f"{self.name} from {self.start} to {self.end}"


@dataclass(eq=False)
class Storage:
    """Words that lie side by side, and what they hold; :func:`allocate` says where."""

    pieces: list[Piece] = field(default_factory=list)
    start: int | None = None

    @property
    def words(self):
        """Words, whole multiples of the alignment."""
        return -(-max(p.offset + p.words for p in self.pieces) // ALIGNMENT) * ALIGNMENT

    def conflict(self, other, distance):
        """The first pieces, of both, that hold a word at once, `other` being `distance` words
        behind."""
        return next(
            ((a, b) for a in self.pieces for b in other.pieces if a.meets(b, distance)), None
        )


class Overlap(ValueError):
    """Two values live in the same words at once."""


def allocate(storages):
    """Give each storage the lowest place where no word is taken while it lives; first come, first
    served. Returns the words that all of them take."""
    placed, end = [], 0
    for storage in sorted(storages, key=lambda s: min(p.start for p in s.pieces)):
        at = 0
        for at in sorted({0, *(p.start + p.words for p in placed)}):
            if not any(p.conflict(storage, at - p.start) for p in placed):
                break
        storage.start = at
        placed.append(storage)
        end = max(end, at + storage.words)
    return end


def check(storages):
    """Raise :exc:`Overlap` where two values live in the same words at once."""
    storages = list(storages)
    for n, one in enumerate(storages):
        for other in storages[:n]:
            if found := one.conflict(other, other.start - one.start):
                raise Overlap(f"Live values must lie apart, not {found[0]} and {found[1]}")
