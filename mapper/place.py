"""Place gains and values in the vector memory: :mod:`.lifetimes` says how long each value lives,
:mod:`.allocate` where.

What all columns share, a section's gains, lies first; then one set of areas per column, all alike.
"""

from dataclasses import dataclass

from sw_ref.graph import Gained, Repeat

from .allocate import allocate, check
from .assembler import Area
from .lifetimes import Lifetimes
from .unmappable import Unmappable


__all__ = ["Placement", "Sections", "gains_of", "place"]


@dataclass(frozen=True)
class Sections:
    """A graph cut where its program is: before the layers, the layers, and behind them.

    Raises :exc:`~mapper.unmappable.Unmappable` for graphs of another shape.
    """

    before: tuple
    layers: Repeat
    behind: tuple

    @classmethod
    def of(cls, graph):
        found = [node for node in graph if isinstance(node, Repeat)]
        if not found:
            raise Unmappable(f"{graph.nodes[-1].name!r} must come behind a Repeat, there is none")
        first, *others = found
        for other in others:
            where = "in" if other in first.body else "beside"
            raise Unmappable(f"{other.name!r} must not be a Repeat {where} another, {first.name!r}")
        at = graph.nodes.index(first)
        return cls(graph.nodes[:at], first, graph.nodes[at + 1 :])

    def __iter__(self):
        """The nodes of each section."""
        return iter((self.before, self.layers.body, self.behind))


def gains_of(nodes):
    """Those of `nodes` that read gains, in the order in which these lie in DRAM."""
    return [node for node in nodes if isinstance(node, Gained)]


class Placement:
    """Areas of the vector memory.

    Attributes
    ----------
    gains : :class:`dict` of :class:`str` to :class:`~mapper.assembler.Area`
        Where the gain of a node lies, in all columns the same.
    areas : the same
        Where the value of a node lies; of a temporary ``NODE: NAME``.
    column_words : :class:`int`
        Words of a column's areas.
    words : :class:`int`
        Of the whole vector memory.
    """

    def __init__(self, graph, config, column_reg):
        self.sections = Sections.of(graph)
        self.gains, shared = {}, 0
        for nodes in self.sections:
            at = 0
            for node in gains_of(nodes):
                self.gains[node.name] = Area(at, node.gain_size)
                at += node.gain_size
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
            f"{area.start:6} {area.size:6}  all columns  gain of {name}"
            for name, area in self.gains.items()
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
