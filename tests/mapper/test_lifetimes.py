"""Lifetimes: each value from when it is written until it is read last."""

import pytest

from mapper.families import FAMILIES
from mapper.lifetimes import Lifetimes
from mapper.nodes import Product
from mapper.passes import lowerable
from mapper.place import Sections
from rtl.spec.config import get

from .families.test_families import SIZES


@pytest.fixture(scope="module")
def order():
    sections = Sections.of(lowerable(FAMILIES["llama"].graph(SIZES), 64))
    return sections, [*sections.before, *sections.kinds[0].body, *sections.behind]


@pytest.fixture(scope="module")
def pieces(order):
    return {p.name: p for s in Lifetimes(order[0], get("small")).storages for p in s.pieces}


def test_until_the_last_reader(order, pieces):
    """And no longer; what the next round of the layers reads again, through all of them."""
    sections, nodes = order
    last = {name: 2 * n for n, node in enumerate(nodes, 1) for name in node.inputs}
    body = sections.kinds[0].body
    outside = {sections.kinds[0].name, *(node.name for node in sections.before)}
    again = {name for node in body for name in node.inputs} & outside
    assert len(again) > 1 and len(pieces.keys() & last) > 20
    for name in pieces.keys() & last:
        if name in again:
            assert pieces[name].end > 2 * (len(sections.before) + len(body)), name
        else:
            assert last[name] - 1 <= pieces[name].end <= last[name], name


def test_products_live_from_when_their_activations_are_there(order, pieces):
    """LINEAR runs ahead, and may write them at once."""
    _, nodes = order
    made = {node.name: 2 * n for n, node in enumerate(nodes, 1)}
    products = [node for node in nodes if isinstance(node, Product) and node.name in pieces]
    assert len(products) >= 5
    for node in products:
        assert made[node.inputs[0]] < pieces[node.name].start < made[node.name]
    assert any(pieces[node.name].start < made[node.name] - 1 for node in products)


def test_a_temporary_lives_within_its_node(order, pieces):
    _, nodes = order
    made = {node.name: 2 * n for n, node in enumerate(nodes, 1)}
    found = [(name.split(": ")[0], piece) for name, piece in pieces.items() if ": " in name]
    assert found
    for node, piece in found:
        assert (piece.start, piece.end) == (made[node] - 1, made[node])
