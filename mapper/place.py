"""Place gains, biases and values in the vector memory: :mod:`.lifetimes` says how long each value
lives, :mod:`.allocate` where.

What all columns share, a section's gains and biases, lies first; then one set of areas per column,
all alike.
"""

from dataclasses import dataclass

from rtl.spec.numbers import UNIT_WORDS

from .allocate import allocate, check
from .assembler import Area
from .lifetimes import Lifetimes
from .unmappable import Unmappable


__all__ = ["Placement", "Sections", "place", "vectors_of"]


@dataclass(frozen=True)
class Sections:
    """A graph cut where its program is: before the layers, the layers, and behind them.

    `repeats` are the outermost Repeats, and `kinds` those whose bodies are layers, in order. Raises
    :exc:`~mapper.unmappable.Unmappable` for graphs of another shape.
    """

    before: tuple
    repeats: tuple
    behind: tuple

    @classmethod
    def of(cls, graph):
        found = graph.repeats
        if not found:
            raise Unmappable(f"{graph.nodes[-1].name!r} must come behind a Repeat, there is none")
        at = graph.nodes.index(found[0])
        end = at + len(found)
        if graph.nodes[at:end] != found:
            raise Unmappable(f"{found[-1].name!r} must come right behind the other Repeats")
        for repeat in found:
            for node in cls._within(repeat):
                if node.inner and len(node.inner) != len(node.body):
                    raise Unmappable(f"{node.name!r} must have nodes, or Repeats, and not both")
        return cls(graph.nodes[:at], found, graph.nodes[end:])

    @classmethod
    def _within(cls, repeat):
        return [repeat, *(node for inner in repeat.inner for node in cls._within(inner))]

    @property
    def kinds(self):
        return tuple(kind for repeat in self.repeats for kind in repeat.kinds)

    @property
    def loops(self):
        """All Repeats, outer ones first."""
        return tuple(node for repeat in self.repeats for node in self._within(repeat))

    def __iter__(self):
        """The nodes of each section."""
        return iter((self.before, *(kind.body for kind in self.kinds), self.behind))


def vectors_of(nodes):
    """Pairs of a node and the name of a vector that it reads, in the order in which these lie in
    DRAM, and how many words that takes: whole units."""
    return {
        (node.name, name): -(-size // UNIT_WORDS) * UNIT_WORDS
        for node in nodes
        for name, size in node.vectors.items()
    }


class Placement:
    """Areas of the vector memory.

    Attributes
    ----------
    vectors : :class:`dict` of (:class:`str`, :class:`str`) to :class:`~mapper.assembler.Area`
        Where a vector of a node lies, a gain or a bias, in all columns the same.
    areas : :class:`dict` of :class:`str` to :class:`~mapper.assembler.Area`
        Where the value of a node lies; of a temporary ``NODE: NAME``.
    column_words : :class:`int`
        Words of a column's areas.
    words : :class:`int`
        Of the whole vector memory.
    """

    def __init__(self, graph, config, column_reg):
        self.sections = Sections.of(graph)
        self.vectors, shared = {}, 0
        for nodes in self.sections:
            at = 0
            for name, words in vectors_of(nodes).items():
                self.vectors[name] = Area(at, words)
                at += words
            shared = max(shared, at)
        base = -(-shared // 64) * 64
        self.storages = Lifetimes(self.sections, config).storages
        self.column_words = allocate(self.storages)
        check(self.storages)
        self.areas = {}
        for storage in self.storages:
            for piece in storage.pieces:
                self.areas[piece.name] = Area(
                    base + storage.start + piece.offset, piece.words, column_reg
                )
        self.words = base + config.columns * self.column_words

    def __str__(self):
        lines = [
            f"{area.start:6} {area.size:6}  all columns  {name} of {node}"
            for (node, name), area in self.vectors.items()
        ]
        base = min(area.start for area in self.areas.values())
        for storage in sorted(self.storages, key=lambda s: s.start):
            lines += [
                f"{base + storage.start + p.offset:6} {p.words:6}  {p.start:4} to {p.end:4}  "
                f"{p.name}"
                for p in sorted(storage.pieces, key=lambda p: p.start)
            ]
        return "\n".join(lines)


def place(graph, config, column_reg):
    """The :class:`Placement` of a graph's values, which was rewritten and has its products."""
    return Placement(graph, config, column_reg)
