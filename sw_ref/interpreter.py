"""The walk through a graph, for interpreters that compute its nodes.

:class:`sw_ref.float32.Float32` computes them in numpy, :mod:`sw_ref.pytorch.interpreter` in
PyTorch.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from .graph import Repeat


__all__ = ["TOKENS", "Interpreter"]


TOKENS = "token ids"  # what nodes without inputs read


class Interpreter:
    """Interpret graphs, of several texts at once.

    A subclass has a method for each type of node, called as the type in small letters. It takes the
    node, the tensors of the round, and the values of the node's inputs: (positions, size) each. A
    node without inputs gets the token ids.

    Parameters
    ----------
    model : :class:`~mapper.model.Model` or alike
        Has a `graph`, and `tensor(name, layer)`.
    """

    def __init__(self, model):
        self.model = model

    def tensors(self, layer) -> Any:
        """What methods look tensors up in, in a round; None for outside of all rounds."""
        return lambda name: self.model.tensor(name, layer)

    def run(self, nodes, scopes, tensors, trace=None, layer=0) -> Iterator[Any]:
        """Yield the value of the last of `nodes` for each text.

        All texts finish a round before the next one begins, so that each layer is read once. What
        follows the rounds is done text by text, and only the yielded value outlives it.

        Parameters
        ----------
        nodes : sequence of :class:`~sw_ref.graph.Node`
        scopes : iterable of :class:`dict`
            Values by name that are there already, for each text. Of a whole graph, the
            :data:`TOKENS`.
        tensors : what :meth:`tensors` returns
        trace : function
            `trace(name, value)` sees the value of each node; ``window layer / q`` in layer 3 is
            ``layer 3 / q``.
        layer : :class:`int`
            The first layer of these nodes.
        """
        repeats = [n for n, node in enumerate(nodes) if isinstance(node, Repeat)]
        start = repeats[-1] + 1 if repeats else 0
        if start:
            scopes = [dict(values) for values in scopes]
        for node in nodes[:start]:
            if isinstance(node, Repeat):
                self._repeat(node, scopes, trace, layer)
                layer += node.layers
            else:
                for values in scopes:
                    self._compute(node, values, tensors, trace)
        for values in map(dict, scopes):
            for node in nodes[start:]:
                self._compute(node, values, tensors, trace)
            yield values[nodes[-1].name]

    def _repeat(self, node, scopes, trace, layer):
        states = [values[node.inputs[0]] for values in scopes]
        for n in range(layer, layer + node.layers, node.layers // node.count):
            inside = ({**values, node.name: x} for values, x in zip(scopes, states))
            if node.inner:
                inside = list(inside)
                found = self.run(node.body, inside, self.tensors(None), trace, n)
            else:
                found = self.round(node, n, inside, named(trace, node, n))
            for i, x in enumerate(found):
                states[i] = x
        for values, x in zip(scopes, states):
            values[node.name] = x

    def round(self, node, n, scopes, trace=None) -> Iterable[Any]:
        """What layer `n`, a round of a :class:`~sw_ref.graph.Repeat`, makes of each text."""
        return self.run(node.body, scopes, self.tensors(n), trace)

    def _compute(self, node, values, tensors, trace):
        operation = getattr(self, type(node).__name__.lower())
        value = operation(node, tensors, *(values[name] for name in node.inputs or (TOKENS,)))
        if trace:
            trace(node.name, value)
        values[node.name] = value


def named(trace, repeat, n):
    """A trace whose names have the number of the layer instead of its kind."""
    if trace is None:
        return None
    return lambda name, value: trace(name.replace(repeat.name, f"layer {n}", 1), value)
