"""The passes between a family's graph and the graph that is placed and scheduled."""

from sw_ref.graph import Angles, Attend, Embedding, Gained, Gate, Head, Linear
from sw_ref.sequences import gate

from .nodes import Product
from .place import Sections
from .products import with_products
from .rewrites import rewritten
from .unmappable import Unmappable


__all__ = ["applied_rewrites", "layer_products", "lowerable"]


LAYERS_ONLY = (Linear, Attend)  # whose matrices and caches are those of layers
# Of which DRAM has one table, one matrix, or one area in each layer.
SINGLE = (Embedding, Angles, Attend, Head)


def _check(graph):
    """Refuse what a memory map has no place for."""
    sections = Sections.of(graph)
    outside = (*sections.before, *sections.behind)
    for node in outside:
        if isinstance(node, LAYERS_ONLY):
            raise Unmappable(f"{node.name!r} must be in a layer, as each {type(node).__name__}")
    for kind in SINGLE:
        found = [node for node in graph if isinstance(node, kind)]
        for other in found[1:]:
            raise Unmappable(
                f"{other.name!r} must not be a second {kind.__name__}, beside {found[0].name!r}"
            )
    final = [node for node in sections.behind if isinstance(node, Gained)][:1]
    for node in outside:
        if isinstance(node, Gained) and node not in final:
            raise Unmappable(
                f"{node.name!r} must be in a layer, or the only norm behind the layers"
            )
    try:
        graph.softmax_factors
        for node in graph:
            if isinstance(node, Gate):
                gate(node.function)
    except ValueError as error:
        raise Unmappable(str(error)) from None


def lowerable(graph):
    """The graph that is placed and scheduled: rewritten, with its products and quantizers.

    Raises :exc:`~mapper.unmappable.Unmappable` for what there is no program for.
    """
    _check(graph)
    return with_products(rewritten(graph)[0])


def applied_rewrites(graph):
    """What was :class:`~mapper.rewrites.Applied` to a graph, in order."""
    return rewritten(graph)[1]


def layer_products(graph):
    """The :class:`~mapper.nodes.Product` of a layer, in the order of the stream."""
    return [node for node in Sections.of(graph).layers.body if isinstance(node, Product)]
