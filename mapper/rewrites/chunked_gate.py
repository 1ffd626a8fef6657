"""Gate and up in chunks."""

from dataclasses import replace

from sw_ref.graph import Gate, Linear

from ..nodes import Join, Product, Rows
from . import rewrite


__all__ = ["CHUNKS", "chunks"]


# Shares of the rows, in the order in which they are computed. The gate runs on one chunk while the
# core streams the next; only the last one's gate is exposed, so they get smaller.
CHUNKS = (4 / 24, 6 / 24, 7 / 24, 6 / 24, 1 / 24)


def chunks(rows):
    """Rows (start, end) of the chunks: multiples of 64, or all of them at once."""
    edges, total = [0], 0.0
    for share in CHUNKS[:-1]:
        total += share
        edge = round(total * rows / 64) * 64
        if edges[-1] < edge < rows:
            edges.append(edge)
    edges.append(rows)
    return list(zip(edges, edges[1:]))


@rewrite
class ChunkedGate:
    """Gate and up come in chunks, the rows of a chunk of both as one matrix: the gate runs on a
    chunk while the core streams the next.

    Only where gate and up are products of one vector that nothing else reads.
    """

    name = "gate and up in chunks"
    order = 4

    def applies(self, body, node):
        """Whether `node` is a gate that may come in chunks."""
        if not isinstance(node, Gate) or body.leaves(node.name) or node.alone:
            return False
        gate, up = (body.maker(value) for value in node.inputs[:2])
        return (
            all(isinstance(each, Linear) and len(body.users(each.name)) == 1 for each in (gate, up))
            and gate.inputs == up.inputs
        )

    def apply(self, body, node):
        gate, up = (body.maker(value) for value in node.inputs[:2])
        products, rest, parts = [], [], []
        for n, (start, end) in enumerate(chunks(node.size)):
            rows = end - start
            both = Product(
                name=f"{gate.name}, up {n}",
                inputs=gate.inputs,
                size=2 * rows,
                matrix=f"{gate.weight}_{up.weight}{n}",
                parts=((gate.weight, start, end), (up.weight, start, end)),
            )
            halves = [
                Rows(name=f"{each.name} {n}", inputs=(both.name,), size=rows, start=at)
                for each, at in ((gate, 0), (up, rows))
            ]
            parts.append(
                replace(
                    node,
                    name=f"{node.name} {n}",
                    size=rows,
                    inputs=(*(half.name for half in halves), *node.inputs[2:]),
                )
            )
            products.append(both)
            rest += [*halves, parts[-1]]
        rest.append(Join(name=node.name, inputs=tuple(part.name for part in parts), size=node.size))
        first, second = sorted((gate, up), key=body.nodes.index)
        return body.replaced({first.name: products, second.name: [], node.name: rest})
