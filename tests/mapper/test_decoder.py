"""Decoders: layers of several kinds as runs, and as patterns that repeat."""

from dataclasses import replace
from random import Random

import pytest

from mapper.decoder import PATTERN_MOST, decoder, pattern_of, runs
from mapper.families import FAMILIES
from mapper.hyperparameters import Hyperparameters, Rotary
from sw_ref.graph import Attend, Rope


SIZES = Hyperparameters(
    hidden=64,
    heads=1,
    kv_heads=1,
    head_dim=64,
    ffn=64,
    vocab=64,
    layers=1,
    norm_eps=1e-5,
    window=32,
    rope=Rotary(theta=1e4, dim=64),
)
NAMES = {"w": "window", "f": "full", "n": "nope"}


def test_runs():
    assert runs("wwfwnn") == [("w", 2), ("f", 1), ("w", 1), ("n", 2)]
    assert runs("") == []


@pytest.mark.parametrize(
    "kinds, found",
    [
        ("f", (1, 1)),
        ("ffff", (1, 4)),
        ("wfwf", (2, 2)),
        ("wwfwwf", (3, 2)),
        ("wwwwwf" * 4 + "ww", (6, 4)),  # Gemma 3 1B: the rest is a part of the pattern
        ("wfwfw", (2, 2)),
        ("wwf", (3, 1)),
        ("fww", (3, 1)),
        ("wwfwfw", (5, 1)),  # which begins again at its last layer
        ("w" * (PATTERN_MOST - 1) + "f" + "w", (PATTERN_MOST, 1)),
        (("w" * PATTERN_MOST + "f") * 2, (2 * PATTERN_MOST + 2, 1)),  # too long to be looked for
    ],
)
def test_pattern_of(kinds, found):
    assert pattern_of(kinds) == found


def kinds_of(graph):
    """The kind of each layer, by what its nodes are."""
    found = {}
    for name, its in graph.kinds.items():
        (attend,) = (node for node in its.body if isinstance(node, Attend))
        rotated = any(isinstance(node, Rope) for node in its.body)
        found[name] = "w" if attend.window else "f" if rotated else "n"
    return "".join(found[name] for name in graph.order)


def random_kinds(seed):
    rng = Random(seed)
    pattern = rng.choices("wfn", k=rng.randint(1, 7))
    return "".join((pattern * 9)[: rng.randint(1, 30)])


@pytest.mark.parametrize(
    "kinds", ["wwwwwf" * 4 + "ww", "wfwwfw" * 2 + "wf", "nffw", *map(random_kinds, range(40))]
)
def test_graph_of_kinds(kinds):
    """Each layer is of its kind, and no two nodes have a name: a graph would refuse them."""
    shape = replace(SIZES, layers=len(kinds), kinds=tuple(NAMES[kind] for kind in kinds))
    graph = FAMILIES["llama"].graph(shape)
    assert kinds_of(graph) == kinds
    assert sum(repeat.layers for repeat in graph.repeats) == len(kinds)
    length, times = pattern_of(kinds)
    bodies = len(runs(kinds[:length])) + len(runs(kinds[length * times :]))
    assert len(graph.kinds) <= max(bodies, len(runs(kinds[:length])))


def test_layers_that_are_alike_are_one_body():
    graph = FAMILIES["llama"].graph(replace(SIZES, layers=7))
    assert list(graph.kinds) == ["layer"] and graph.order == ["layer"] * 7


def test_a_layer_returns_its_last_node():
    def layer(b, x):
        b.add("ffn / add", x, b.feed_forward(b.norm("ffn / norm", x, "ffn_norm")))
        return x

    with pytest.raises(
        ValueError,
        match="^A layer must return the name of its last node, 'layer / ffn / add', not 'layer'$",
    ):
        decoder(SIZES, layer)
