"""The passes between a family's graph and the graph that is placed and scheduled."""

from .nodes import Product
from .place import Sections
from .products import with_products
from .rewrites import rewritten


__all__ = ["applied_rewrites", "layer_products", "lowerable"]


def lowerable(graph):
    """The graph that is placed and scheduled: rewritten, with its products and quantizers."""
    return with_products(rewritten(graph)[0])


def applied_rewrites(graph):
    """What was :class:`~mapper.rewrites.Applied` to a graph, in order."""
    return rewritten(graph)[1]


def layer_products(graph):
    """The :class:`~mapper.nodes.Product` of a layer, in the order of the stream."""
    return [node for node in Sections.of(graph).layers.body if isinstance(node, Product)]
