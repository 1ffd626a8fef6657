"""Products and their activations: each linear is a matrix of the stream, each input is quantized
once."""

from dataclasses import replace

from sw_ref.graph import Graph, Head, Linear, Repeat

from .nodes import Product, Quantize


__all__ = ["with_products"]


def _product(node):
    if not isinstance(node, Linear):
        return node
    return Product(
        name=node.name,
        inputs=node.inputs,
        size=node.size,
        matrix=node.weight,
        parts=((node.weight, 0, node.size),),
    )


def _quantize(name, size):
    return Quantize(name=f"{name} / quantize", inputs=(name,), size=size)


def _body(nodes, sizes):
    """Nodes, and quantizers as early as their inputs are there. The buffer holds one input: one
    that another has replaced since is quantized again."""
    nodes = [
        replace(node, body=_body(node.body, sizes)) if isinstance(node, Repeat) else _product(node)
        for node in nodes
    ]
    read = {node.inputs[0] for node in nodes if isinstance(node, (Product, Head))}
    result, held, again = [], None, 0
    for node in nodes:
        if isinstance(node, (Product, Head)) and node.inputs[0] != held:
            held, again = node.inputs[0], again + 1
            result.append(replace(_quantize(held, sizes[held]), name=f"{held} / quantize {again}"))
        result.append(node)
        if node.name in read:
            held = node.name
            result.append(_quantize(held, node.size))
    return tuple(result)


def with_products(graph):
    """A graph in which every matrix is a :class:`~mapper.nodes.Product` or a head, and every vector
    that one reads is quantized. Biases are apart already (:mod:`mapper.rewrites.bias_apart`)."""
    return Graph(_body(graph.nodes, {node.name: node.size for node in graph}))
