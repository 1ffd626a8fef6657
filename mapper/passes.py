"""The passes between a family's graph and the graph that is placed and scheduled."""

from sw_ref.graph import Attend, Embedding, Gate, Head, Linear
from sw_ref.sequences import gate

from .nodes import Product
from .place import Sections
from .products import with_products
from .rewrites import rewritten
from .unmappable import Unmappable


__all__ = ["applied_rewrites", "layer_products", "lowerable"]


LAYERS_ONLY = (Linear, Attend)  # whose matrices and caches are those of layers
SINGLE = (Embedding, Head)  # of which DRAM has one matrix


def _single(nodes, kind):
    """Refuse a second node of a type."""
    found = [node for node in nodes if isinstance(node, kind)]
    for other in found[1:]:
        raise Unmappable(
            f"{other.name!r} must not be a second {kind.__name__}, beside {found[0].name!r}"
        )


def _check(graph):
    """Refuse what a memory map has no place for."""
    sections = Sections.of(graph)
    outside = (*sections.before, *sections.behind)
    for node in outside:
        if isinstance(node, LAYERS_ONLY):
            raise Unmappable(f"{node.name!r} must be in a layer, as each {type(node).__name__}")
    for kind in SINGLE:
        _single(graph, kind)
    for layer in graph.kinds.values():
        _single(layer.body, Attend)  # whose cache is the layer's
    for node in sections.before:
        if node.vectors:
            raise Unmappable(f"{node.name!r} must be in a layer, or behind the layers")
    try:
        graph.softmax_factors
        for node in graph:
            if isinstance(node, Gate):
                gate(node.function)
    except ValueError as error:
        raise Unmappable(str(error)) from None


def lowerable(graph, head_dim):
    """The graph that is placed and scheduled: rewritten, with its products and quantizers.

    `head_dim` is that of the machine. Raises :exc:`~mapper.unmappable.Unmappable` for what there is
    no program for.
    """
    _check(graph)
    return with_products(rewritten(graph, head_dim)[0])


def applied_rewrites(graph, head_dim):
    """What was :class:`~mapper.rewrites.Applied` to a graph, in order."""
    return rewritten(graph, head_dim)[1]


def layer_products(graph):
    """The :class:`~mapper.nodes.Product` of a layer of each kind, by its name, in the order of the
    stream."""
    return {
        name: [node for node in kind.body if isinstance(node, Product)]
        for name, kind in graph.kinds.items()
    }
