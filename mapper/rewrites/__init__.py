"""Rewrites: what a good hand does to a graph before it is scheduled, each with its condition.

A file each, which registers a class with :func:`rewrite`. The oracle
(:mod:`sw_ref.pytorch.interpreter`) interprets the graph before them, so none may change a bit of
what the machine's arithmetic is defined to give. That includes where a norm's 1 / rms(x) is
rounded: behind the products, in the interpreter as in the program.
"""

from dataclasses import dataclass, replace
from importlib import import_module
from pkgutil import iter_modules

from sw_ref.graph import Graph, Node, Repeat


__all__ = ["REWRITES", "Applied", "Body", "rewrite", "rewritten"]


class Body:
    """Nodes in order, and who reads their values.

    Parameters
    ----------
    nodes : sequence of :class:`~sw_ref.graph.Node`
    head_dim : :class:`int`
        Elements of a head that attention is built for.
    """

    def __init__(self, nodes, head_dim):
        self.nodes, self.head_dim = tuple(nodes), head_dim
        self.by_name = {node.name: node for node in self.nodes}

    def maker(self, value):
        """The node of this body that makes a value; None where it comes from outside."""
        return self.by_name.get(value)

    def users(self, value):
        """Nodes of this body that read a value."""
        return [node for node in self.nodes if value in node.inputs]

    def leaves(self, value):
        """Whether a value is the body's result, which is read outside."""
        return value == self.nodes[-1].name

    def replaced(self, changes):
        """Nodes, each instead of the node of a name: a mapping of names to sequences of nodes."""
        return [new for node in self.nodes for new in changes.get(node.name, (node,))]


@dataclass(frozen=True)
class Applied:
    """A rewrite that was applied, and the node that it was applied to."""

    rewrite: str
    node: str

    def __str__(self):
        return f"{self.node}: {self.rewrite}"


REWRITES = {}  # name: an instance of the class


def rewrite(cls):
    """Register a class with `name`, `order`, `applies(body, node)` and `apply(body, node)`.

    `apply` returns the new body's nodes. A rewrite of a lower `order` comes first.
    """
    REWRITES[cls.name] = cls()
    return cls


for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")


def _body(given, head_dim, applied, rewrites):
    nodes: tuple[Node, ...] = tuple(
        replace(node, body=_body(node.body, head_dim, applied, rewrites))
        if isinstance(node, Repeat)
        else node
        for node in given
    )
    for each in rewrites:
        for name in [node.name for node in nodes]:
            body = Body(nodes, head_dim)
            node = body.maker(name)
            if node is not None and each.applies(body, node):
                nodes = tuple(each.apply(body, node))
                applied.append(Applied(each.name, name))
    return nodes


def rewritten(graph, head_dim, names=None):
    """The graph that is scheduled on a machine whose attention is built for heads of `head_dim`
    elements, and what was :class:`Applied`. `names` are those of the rewrites that may be; all,
    unless they are given."""
    rewrites = sorted(
        (r for r in REWRITES.values() if names is None or r.name in names), key=lambda r: r.order
    )
    applied = []
    return Graph(_body(graph.nodes, head_dim, applied, rewrites)), applied
