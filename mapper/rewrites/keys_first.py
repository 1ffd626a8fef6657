"""Keys and values before queries."""

from sw_ref.graph import Linear

from ..nodes import AttendCache, Product, Rows
from . import rewrite


@rewrite
class KeysFirst:
    """Keys and values are one matrix, which comes before the queries': they are rotated, quantized
    and appended while the queries' rows stream.

    Only where queries, keys and values are products of one vector, and nothing but attention reads
    what becomes of them.
    """

    name = "keys and values before queries"
    order = 3

    def _chain(self, body, value):
        """Nodes from a product to `value`, the product first; none if they are no plain chain."""
        chain = []
        while (node := body.maker(value)) is not None and len(body.users(value)) == 1:
            chain.insert(0, node)
            if isinstance(node, Linear):
                return chain
            value = node.inputs[0]
        return []

    def applies(self, body, node):
        """Whether `node` is attention whose keys and values may come first."""
        if not isinstance(node, AttendCache):
            return False
        append = body.maker(node.inputs[1])
        chains = [self._chain(body, value) for value in (node.inputs[0], *append.inputs)]
        return all(chains) and len({chain[0].inputs for chain in chains}) == 1

    def apply(self, body, node):
        append = body.maker(node.inputs[1])
        queries, keys, values = (
            self._chain(body, value) for value in (node.inputs[0], *append.inputs)
        )
        q, k, v = queries[0], keys[0], values[0]
        both = f"{k.name.rpartition(' / ')[0]} / kv"
        products = [
            Product(
                name=both,
                inputs=k.inputs,
                size=k.size + v.size,
                matrix=k.weight + v.weight,
                parts=((k.weight, 0, k.size), (v.weight, 0, v.size)),
            ),
            q,
            Rows(name=k.name, inputs=(both,), size=k.size, start=0),
            Rows(name=v.name, inputs=(both,), size=v.size, start=k.size),
        ]
        rest = [*keys[1:], *values[1:], append, *queries[1:], node]
        first = min((q, k, v), key=body.nodes.index)
        changes = {each.name: [] for each in (*queries, *keys, *values, append)}
        return body.replaced(changes | {first.name: products, node.name: rest})
