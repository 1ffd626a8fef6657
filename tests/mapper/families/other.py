"""A family that no file has: other matrices, norms and names than Llama's."""

from dataclasses import replace

import numpy as np

from mapper.families import FAMILIES, Family, Names
from sw_ref.graph import Graph, Linear, Norm

from .. import synthetic


__all__ = ["NAME", "OTHER", "RANK", "write"]


NAME, RANK = "other", 32


def graph(p):
    """A Llama whose attention ends in two narrow products, and a norm."""
    whole = FAMILIES["llama"].graph(p)
    embedding, angles, layer, *rest = whole.nodes
    body = []
    for node in layer.body:
        if node.name == "layer / attention / o":
            a, b, norm = (f"layer / attention / {name}" for name in ("o_a", "o_b", "post"))
            body += [
                Linear(name=a, inputs=node.inputs, size=RANK, weight="o_a"),
                Linear(name=b, inputs=(a,), size=p.hidden, weight="o_b"),
                Norm(name=norm, inputs=(b,), size=p.hidden, gain="post_norm", eps=p.norm_eps),
            ]
        elif node.name == "layer / attention / add":
            body.append(replace(node, inputs=(node.inputs[0], norm)))
        else:
            body.append(node)
    return Graph((embedding, angles, replace(layer, body=tuple(body)), *rest))


LLAMA = FAMILIES["llama"]
OTHER = Family(
    name=NAME,
    gguf="other2",
    hf="other",
    linears={
        **{name: its for name, its in LLAMA.linears.items() if name != "o"},
        "o_a": Names("attn_out_a", "self_attn.a_proj"),
        "o_b": Names("attn_out_b", "self_attn.b_proj"),
    },
    norms={**LLAMA.norms, "post_norm": Names("post_attn_norm", "post_norm")},
    graph=graph,
)


def write(path, **options):
    """Write a GGUF of the family."""
    rng, tensors, without = np.random.default_rng(3), {}, []
    queries = synthetic.HEADS * synthetic.HEAD_DIM
    for n in range(synthetic.LAYERS):
        for name, shape in (
            ("attn_out_a", (RANK, queries)),
            ("attn_out_b", (synthetic.HIDDEN, RANK)),
            ("post_attn_norm", (synthetic.HIDDEN,)),
        ):
            values = rng.normal(len(shape) == 1, 0.05, shape).astype(np.float32)
            tensors[f"blk.{n}.{name}.weight"] = values
        without.append(f"blk.{n}.attn_output.weight")
    return synthetic.write(path, arch="other2", tensors=tensors, without=without, **options)
