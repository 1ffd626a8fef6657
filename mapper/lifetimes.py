"""Lifetimes of values in the vector memory.

Time is counted in half steps of the linear order of nodes: node n works from 2 n - 1 to 2 n, and
its last instruction is at 2 n.
"""

from .allocate import Piece, Storage
from .lowering import lowering_of
from .nodes import Join, Product, Quantize, Rows
from .unmappable import Unmappable


__all__ = ["Lifetimes"]


class Lifetimes:
    """From when each value of a graph is written until it is read last.

    A value that changes another in place, is a part of one or joins others lies in their storage.

    Parameters
    ----------
    sections : :class:`~mapper.place.Sections`
    config : :class:`~rtl.spec.config.Config`

    Attributes
    ----------
    storages : list of :class:`~mapper.allocate.Storage`
        Of all values and temporaries, each :class:`~mapper.allocate.Piece` with its lifetime.
    at : :class:`dict` of :class:`str` to (:class:`~mapper.allocate.Storage`, words)
        Where the value of a name lies: in which storage, and at which offset.
    """

    def __init__(self, sections, config):
        self.sections, self.config = sections, config
        self.at, self.storages, self.sizes = {}, [], {}
        self.uses, self.times, self.handed, self.begins = {}, {}, {}, {}
        order = [node for nodes in sections for node in nodes]
        self.times = {node.name: n + 1 for n, node in enumerate(order)}
        # Of each kind of layer, its first and its last time.
        self.spans = {
            kind.name: (self.times[kind.body[0].name], self.times[kind.body[-1].name])
            for kind in sections.kinds
        }
        self.last = self.times[sections.kinds[-1].body[-1].name]
        self.carried = {node.name for node in sections.loops}
        self._count_uses(order)
        self._joins = {
            part: (node, sum(self.sizes[p] for p in node.inputs[:n]))
            for node in order
            if isinstance(node, Join)
            for n, part in enumerate(node.inputs)
        }
        for node in sections.before:
            self._make(node)
        self._carry()
        for node in order[len(sections.before) :]:
            self._make(node)
        self._add_pieces(order)

    def _count_uses(self, order):
        """The last time at which each value is read, by name."""
        self.sizes = {node.name: node.size for node in (*order, *self.sections.loops)}
        outside = {node.name for node in self.sections.before}
        behind = len(self.sections.before)
        for node in order:
            for n, name in enumerate(node.inputs):
                time = 2 * self.times[node.name] - (n in lowering_of(node).early)
                if name in outside and behind < self.times[node.name] <= self.last:
                    time = 2 * self.last + 1  # read again in the next round
                self.uses[name] = max(self.uses.get(name, 0), time)
        for name, (_, last) in self.spans.items():
            self.uses[name] = max(self.uses.get(name, 0), 2 * last)

    def _storage(self, name):
        self.storages.append(Storage())
        self.at[name] = self.storages[-1], 0

    def _carry(self):
        """The value that goes from layer to layer lies where the first one's did."""
        (first,) = self.sections.repeats[0].inputs
        if self.uses.get(first):
            raise Unmappable(
                f"{first!r} must be read by nothing but {self.sections.repeats[0].name!r}, which "
                "changes it"
            )
        for name in self.carried:
            self.at[name] = self.at[first]

    def _make(self, node):
        """Say where the value of a node comes to lie."""
        lowering = lowering_of(node)
        if isinstance(node, Rows):
            storage, offset = self.at[node.inputs[0]]
            self.at[node.name] = storage, offset + node.start
        elif node.name in self._joins:
            whole, offset = self._joins[node.name]
            if whole.name not in self.at:
                self._storage(whole.name)
            self.at[node.name] = self.at[whole.name][0], offset
        elif lowering.in_place and self._dies(node.inputs[0], node):
            self.at[node.name] = self.at[node.inputs[0]]
        elif node.name not in self.at and lowering.words(node, self.config):
            self._storage(node.name)
        if isinstance(node, Quantize):
            self.handed[node.inputs[0]] = 2 * self.times[node.name] + 1
        elif isinstance(node, Product):
            # The core may run ahead to it as soon as it has the activations, which may be handed
            # over again later, for other products.
            self.begins[node.name] = self.handed[node.inputs[0]]

    def _dies(self, value, node):
        last = self.times[node.name] * 2
        for kind in self.sections.kinds:
            if value == kind.name and last <= 2 * self.spans[value][1]:
                return max(self.times[n.name] for n in kind.body if value in n.inputs) * 2 == last
        return self.uses[value] == last

    def _add_pieces(self, order):
        for node in order:
            lowering, time = lowering_of(node), 2 * self.times[node.name]
            if node.name in self.at and not isinstance(node, Rows):
                start = time - lowering.begins_early
                if isinstance(node, Product):
                    start = self.begins[node.name]
                self._piece(
                    node.name,
                    lowering.words(node, self.config),
                    start,
                    self.uses.get(node.name, time),
                )
            for name, words in lowering.temporaries(node, self.config).items():
                key = f"{node.name}: {name}"
                self._storage(key)
                self._piece(key, words, time - 1, time)
        # Rows of a product live as long as they are read, which is longer than the product is.
        for node in order:
            if isinstance(node, Rows):
                start = self.begins[node.inputs[0]]
                self._piece(node.name, node.size, start, self.uses[node.name])
        for name, (first, last) in self.spans.items():
            self._piece(name, self.sizes[name], 2 * first - 1, max(self.uses[name], 2 * last + 1))
        # What comes out of the last layer may be called as a Repeat around it.
        name = self.sections.repeats[-1].name
        self._piece(name, self.sizes[name], 2 * self.last, self.uses.get(name, 2 * self.last + 1))

    def _piece(self, name, words, start, end):
        storage, offset = self.at[name]
        storage.pieces.append(Piece(name, offset, words, start, end))
