"""Attention as what appends to the KV cache, and what reads it."""

from sw_ref.graph import Attend

from ..nodes import Append, AttendCache, Pad
from . import rewrite


@rewrite
class Cache:
    """Keys and values are appended, then attention reads the cache. Heads get zeros up to the size
    that attention is built for, which change no product of queries and keys."""

    name = "the KV cache"
    order = 2

    def applies(self, body, node):
        """Whether `node` is attention."""
        return isinstance(node, Attend)

    def apply(self, body, node):
        dim, padded, nodes, values = node.head_dim, body.head_dim, [], list(node.inputs)
        for n, (heads, value) in enumerate(zip((node.heads, *[node.kv_heads] * 2), values)):
            if dim < padded:
                values[n] = f"{value} / pad"
                nodes.append(
                    Pad(
                        name=values[n],
                        inputs=(value,),
                        size=heads * padded,
                        head_dim=dim,
                        padded=padded,
                    )
                )
        cache = f"{node.name} / append"
        append = Append(name=cache, inputs=tuple(values[1:]), size=0, kv_heads=node.kv_heads)
        attend = AttendCache(
            name=node.name,
            inputs=(values[0], cache),
            size=node.size,
            heads=node.heads,
            kv_heads=node.kv_heads,
            head_dim=dim,
            padded=padded,
            window=node.window,
            cap=bool(node.cap),
        )
        return body.replaced({node.name: [*nodes[1:], append, *nodes[:1], attend]})
