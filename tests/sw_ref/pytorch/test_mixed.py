"""Nodes of a mixed model are float32, or the machine's."""

import pytest

from mapper.plan import centre_shift
from mapper.quantize import integer_groups
from rtl.spec.formats import integers
from sim.models.toy import toy_model
from sw_ref.graph import Repeat
from sw_ref.pytorch.interpreter import Float32, MachineArithmetic
from sw_ref.pytorch.mixed import Mixed, rounded_nodes


pytestmark = pytest.mark.seconds(1)  # whole models, which `make check` leaves out


IDS = [5, 17, 80, 3, 42, 9, 66, 1]


def whole(name, linear):
    q = integer_groups(linear, centre_shift(linear))
    return integers(q.format, q.codes, q.scale, q.centre, q.centre_shift), q.row_scale


@pytest.fixture(scope="module")
def model():
    return toy_model(heads=6, kv_heads=2)


def traced(interpreter):
    values = {}
    interpreter(IDS, lambda name, value: values.update({name: value}))
    return values


def test_none_is_float32(model):
    exact, mixed = traced(Float32(model)), traced(Mixed(model, whole, ()))
    assert exact.keys() == mixed.keys()
    assert all((exact[name] == mixed[name]).all() for name in exact)


def test_all_are_as_far_as_the_machine(model):
    """The bits differ: 1/rms comes before activations are rounded, and not behind the product."""
    exact = Float32(model)(IDS)
    machine = (MachineArithmetic(model, whole)(IDS) - exact).norm()
    mixed = (Mixed(model, whole, rounded_nodes(model.graph))(IDS) - exact).norm()
    assert 0.5 < mixed / machine < 2 and machine / exact.norm() < 0.1


@pytest.mark.parametrize("name", rounded_nodes(toy_model().graph))
def test_one_node(model, name):
    """What is before it in the first layer is float32's, and itself is near."""
    exact, mixed = traced(Float32(model)), traced(Mixed(model, whole, {name}))
    first = name.replace("layer", "layer 0", 1)
    before = list(exact)[: list(exact).index(first)]
    assert all((exact[other] == mixed[other]).all() for other in before)
    error = float((mixed[first] - exact[first]).norm() / exact[first].norm())
    assert error < 0.02
    if (
        any(word in name for word in ("/ q", "/ o", "down", "attend", "head"))
        and "rope" not in name
    ):
        assert error > 1e-4


def test_every_node_but_angles_rounds(model):
    names = {node.name for node in model.graph if not isinstance(node, Repeat)}
    assert names - set(rounded_nodes(model.graph)) == {"angles"}
