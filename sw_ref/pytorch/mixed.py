"""A model in float32, but for some nodes that compute as the machine does: what each costs."""

from ..graph import Attend, Head
from .interpreter import Float32, MachineArithmetic, capped, settled


__all__ = ["Mixed", "rounded_nodes"]


def rounded_nodes(graph):
    """Names of the nodes of a graph that the machine computes in another way than float32."""

    def differs(node):
        kind = type(node).__name__.lower()
        return getattr(Float32, kind, None) is not getattr(MachineArithmetic, kind, None)

    return [node.name for node in graph if differs(node)]


class Mixed(Float32):
    """Everything in float32, but the nodes of some names as the accelerator computes them.

    Parameters
    ----------
    model, integers
        Those of :class:`~sw_ref.pytorch.interpreter.MachineArithmetic`.
    names : collection of :class:`str`
        In all rounds of a repetition.
    """

    def __init__(self, model, integers, names):
        super().__init__(model)
        self.machine, self.names = MachineArithmetic(model, integers), names
        # Queries get the softmax' factor where a node reads them that needs it.
        self.factors, self.machine.factors = self.machine.factors, {}
        self._makers = {node.name: node for node in model.graph}

    def _compute(self, node, values, tensors, trace):
        if node.name not in self.names:
            return super()._compute(node, values, tensors, trace)
        given = dict(values)
        if isinstance(node, Attend):
            given[node.inputs[0]] = given[node.inputs[0]] * self._softmax_factor(node)
        self.machine._compute(node, given, tensors, None)
        value = settled(given[node.name])
        values[node.name] = capped(value, node.cap) if isinstance(node, Head) else value
        if trace:
            trace(node.name, values[node.name])

    def _softmax_factor(self, node):
        """The factor of the tensor that the queries' lengths depend on."""
        while not set(node.tensors) & set(self.factors):
            node = self._makers[node.inputs[0]]
        return next(self.factors[name] for name in node.tensors if name in self.factors)
