"""Layers rotate by the angles of their kind, and graphs have no others."""

from dataclasses import replace

import pytest

from mapper.families import FAMILIES
from sim.models.toy import toy_model
from sw_ref.graph import Angles, Rope


@pytest.mark.parametrize(
    "changes, names",
    [
        ({}, {"angles", "local angles"}),
        ({"kinds": ()}, {"local angles"}),
        ({"kinds": (), "window": 0}, {"angles"}),
        ({"kinds": ("nope",) * 8}, set()),
    ],
)
def test_angles(changes, names):
    graph = FAMILIES["gemma3"].graph(replace(toy_model(family="gemma3").shape, **changes))
    assert {node.name for node in graph if isinstance(node, Angles)} == names
    assert {node.inputs[1] for node in graph if isinstance(node, Rope)} == names
