"""Rewrites: where each applies, and that programs with and without them compute the same."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from mapper import passes
from mapper.compile import compile_model
from mapper.families import FAMILIES
from mapper.nodes import (
    AttendCache,
    Biased,
    Join,
    Pad,
    Product,
    Reciprocal,
    Times,
    Weighted,
)
from mapper.rewrites import REWRITES, Body, rewritten
from mapper.rewrites.chunked_gate import chunks
from rtl.spec.config import get
from sim.functional import ModelDevice
from sim.models.toy import toy_model
from sw_ref.graph import Add, Gate, Graph, Repeat, Scale

from ..families.test_families import SIZES


BIAS, LATE, CACHE, KEYS, CHUNKED = (
    "bias behind the product",
    "1/rms behind the product",
    "the KV cache",
    "keys and values before queries",
    "gate and up in chunks",
)
GRAPH = FAMILIES["llama"].graph(SIZES)
LAYER = next(node for node in GRAPH.nodes if isinstance(node, Repeat))


def applied(change=lambda node: node, extra=()):
    """Rewrites that apply to Llama's layer, once its nodes were changed, and where."""
    body = (*map(change, LAYER.body[:-1]), *extra, LAYER.body[-1])
    nodes = [replace(node, body=body) if node is LAYER else node for node in GRAPH.nodes]
    return {(each.rewrite, each.node) for each in rewritten(Graph(tuple(nodes)), 64)[1]}


ALL = {
    (LATE, "layer / attention / norm"),
    (LATE, "layer / ffn / norm"),
    (CACHE, "layer / attention / attend"),
    (KEYS, "layer / attention / attend"),
    (CHUNKED, "layer / ffn / silu"),
}


def test_llama():
    assert applied() == ALL
    assert set(REWRITES) == {BIAS, LATE, CACHE, KEYS, CHUNKED}
    kinds = {type(node) for node in rewritten(GRAPH, 64)[0]}
    assert {Weighted, Reciprocal, Product, AttendCache, Join} <= kinds


def bias(name):
    return lambda node: replace(node, bias="b") if node.name == f"layer / {name}" else node


def other_input(name, value):
    return lambda node: replace(node, inputs=(value,)) if node.name == f"layer / {name}" else node


def reader(value, size):
    """Something else that reads a value."""
    return [Add(name="layer / other", inputs=(f"layer / {value}",) * 2, size=size)]


@pytest.mark.parametrize(
    "lost, change, extra",
    [
        # Rows whose bias comes behind the product are not stacked.
        ({(CHUNKED, "layer / ffn / silu")}, bias("ffn / up"), ()),
        # The norm is read by what is no product.
        ({(LATE, "layer / attention / norm")}, lambda node: node, reader("attention / norm", 128)),
        # Keys, or a gate, that are needed for something else besides.
        ({(KEYS, "layer / attention / attend")}, lambda node: node, reader("attention / k", 128)),
        ({(CHUNKED, "layer / ffn / silu")}, lambda node: node, reader("ffn / gate", 192)),
        (
            {(KEYS, "layer / attention / attend")},
            lambda node: node,
            reader("attention / k / rope", 128),
        ),
        # Products of different vectors.
        ({(KEYS, "layer / attention / attend")}, other_input("attention / v", "layer"), ()),
        ({(CHUNKED, "layer / ffn / silu")}, other_input("ffn / up", "layer"), ()),
    ],
)
def test_conditions(lost, change, extra):
    assert {each for each in applied(change, extra) if each[0] != BIAS} == ALL - lost


def test_biases():
    """A bias is added behind the product, and 1 / rms before it; keys come first as without."""
    assert applied(bias("attention / q")) == ALL | {(BIAS, "layer / attention / q")}
    changed = [bias("attention / q")(node) for node in LAYER.body]
    graph = Graph(tuple(replace(n, body=tuple(changed)) if n is LAYER else n for n in GRAPH.nodes))
    nodes = {node.name: node for node in rewritten(graph, 64)[0]}
    q = "layer / attention / q"
    assert nodes[q] == Biased(
        name=q, inputs=(f"{q} / product", "layer / attention / norm / rms"), size=256, bias="b"
    )
    assert nodes[f"{q} / product"].bias is None
    assert nodes["layer / attention / q / rope"].inputs == (q, "angles")
    assert nodes["layer / attention / k / rope"].inputs[1] == "layer / attention / norm / angles"


def test_heads_are_padded():
    """To what attention is built for: queries, keys and values, each by itself."""
    nodes = {node.name: node for node in rewritten(GRAPH, 128)[0]}
    pads = [node for node in nodes.values() if isinstance(node, Pad)]
    assert {pad.size for pad in pads} == {4 * 128, 2 * 128} and len(pads) == 3
    assert all((pad.head_dim, pad.padded) == (64, 128) for pad in pads)
    attend = nodes["layer / attention / attend"]
    assert (attend.head_dim, attend.padded) == (64, 128)
    assert attend.inputs[0] == "layer / attention / q / rope / pad"
    assert nodes[attend.inputs[1]].inputs == (
        "layer / attention / k / rope / pad",
        "layer / attention / v / rms / pad",
    )
    assert not any(isinstance(node, Pad) for node in rewritten(GRAPH, 64)[0])


@pytest.mark.parametrize("rewrite", REWRITES.values(), ids=lambda each: each.name)
def test_other_nodes_are_left(rewrite):
    """Applies to nothing but what it names."""
    earlier = {name for name, its in REWRITES.items() if its.order < rewrite.order}
    layer = next(n for n in rewritten(GRAPH, 64, earlier)[0].nodes if isinstance(n, Repeat))
    body = Body(layer.body, 64)
    wanted = {node for name, node in ALL if name == rewrite.name}
    assert {node.name for node in body.nodes if rewrite.applies(body, node)} == wanted
    assert rewrite.__doc__


def test_whatever_reads_a_product_gets_it_multiplied():
    """A product is multiplied with 1 / rms once, before the first that reads it, unless the
    rotation's angles are or the gate takes a factor."""
    late = REWRITES[LATE]
    scaled = Scale(name="s", inputs=("layer / ffn / up",), size=192, factor=2.0)
    nodes = list(LAYER.body)
    at = next(n for n, node in enumerate(nodes) if isinstance(node, Gate))
    nodes[at] = replace(nodes[at], inputs=("layer / ffn / gate", "s"))
    nodes[at:at] = [scaled, replace(scaled, name="again")]
    body = Body(nodes, 64)
    made = Body(late.apply(body, body.by_name["layer / ffn / norm"]), 64)
    gate, up, rms = "layer / ffn / gate / rms", "layer / ffn / up / rms", "layer / ffn / norm / rms"
    assert [n.name for n in made.nodes if isinstance(n, Times)] == [up, gate]
    assert made.by_name[up].inputs == ("layer / ffn / up", rms)
    assert made.by_name["s"].inputs == made.by_name["again"].inputs == (up,)
    assert made.by_name["layer / ffn / silu"].inputs == (gate, "s")
    order = [node.name for node in made.nodes]
    assert order.index(up) + 1 == order.index("s") < order.index(gate)


def test_chunks():
    edges = [0, 256, 640, 1088, 1344, 1472, 1536]
    assert chunks(1536) == list(pairwise(edges))
    assert chunks(64) == [(0, 64)]
    for rows in range(64, 4096, 64):
        edges = chunks(rows)
        assert edges[0][0] == 0 and edges[-1][1] == rows
        assert all(a[1] == b[0] and a[0] < a[1] for a, b in zip(edges, edges[1:]))


def logits(model, config):
    device = ModelDevice(config)
    device.load(compile_model(model, config, 32))
    device.step([5, 6][: config.columns], 0, True)
    device.step([7], config.columns, True)
    return device.logits


@pytest.mark.seconds(1)
@pytest.mark.parametrize(
    "names", [{LATE, CACHE}, {LATE, CACHE, KEYS}, {LATE, CACHE, CHUNKED}], ids=len
)
@pytest.mark.parametrize("name", ["small", "wide"])
def test_order_changes_no_bit(monkeypatch, name, names):
    """Keys first, and chunks, change when a value is computed and not what it is."""
    model, config = toy_model(heads=6, kv_heads=2), get(name)
    expected = logits(model, config)
    monkeypatch.setattr(passes, "rewritten", lambda graph, dim: rewritten(graph, dim, names))
    np.testing.assert_array_equal(logits(model, config), expected)


def test_without_any_rewrite(monkeypatch):
    """A program without those that are for speed is legal, and nearly the same: norms are rounded
    elsewhere."""
    model, config = toy_model(heads=6, kv_heads=2), get("small")
    expected = logits(model, config)
    monkeypatch.setattr(passes, "rewritten", lambda graph, dim: rewritten(graph, dim, {CACHE}))
    got = logits(model, config)
    assert not np.array_equal(got, expected)
    assert np.linalg.norm(got - expected) < 0.1 * np.linalg.norm(expected)
