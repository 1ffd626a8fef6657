from dataclasses import replace

import numpy as np
import pytest

from host.errors import UserError
from mapper.compile import compile_model
from mapper.model import Layers
from mapper.truncate import cuts, first_layers, first_part
from rtl.spec.config import get
from rtl.spec.isa import WeightFormat
from sim.models.toy import toy_model
from sw_ref.machine import Machine


@pytest.fixture(scope="module", params=["U4", "SPARSE4"])
def model(request):
    return toy_model(layers=3, format=WeightFormat[request.param])


def logits(config, image):
    machine = Machine(config, image.dram(), writable=image.writable)
    for position, token in enumerate((5, 80, 3)):
        machine.run(image.instructions, tokens=[token], position=position)
    return machine.logits.copy()


@pytest.mark.seconds(1)
@pytest.mark.parametrize("name", ["small", "wide"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_as_a_model_with_fewer_layers(model, name, count):
    config = get(name)
    image = compile_model(model, config, context=32)
    cut = first_layers(image, count)
    fewer = replace(model, layers=Layers(count, model.layers.__getitem__))
    expected = logits(config, compile_model(fewer, config, context=32))
    np.testing.assert_array_equal(logits(config, cut), expected)
    assert (cut.memory != image.memory).any() == (count != 3)


@pytest.mark.parametrize("count", [0, 4])
def test_refused(model, count):
    image = compile_model(model, get("small"), context=32)
    with pytest.raises(ValueError, match=f"^Layers must be from 1 to 3, not {count}$"):
        first_layers(image, count)


def vector(config, image):
    machine = Machine(config, image.dram(), writable=image.writable)
    for position, token in enumerate((5, 80)):
        machine.run(image.instructions, tokens=[token], position=position, head=False)
    return machine.vector


@pytest.mark.seconds(1)
@pytest.mark.parametrize("name", ["small", "wide"])
def test_parts_of_a_layer(model, name):
    """Each is legal, the functional machine says; they are different; and the last is a whole
    layer."""
    config = get(name)
    image = compile_model(model, config, context=32)
    ends = cuts(image)
    assert ends == sorted(set(ends)) and len(ends) > 10
    for count in (1, 3):
        states = [vector(config, first_part(image, config, count, end)) for end in ends[::-6]]
        assert len({state.tobytes() for state in states}) == len(states) > 2
        whole = vector(config, first_layers(image, count))
        x = slice(256, 256 + model.hidden)  # behind the gains
        np.testing.assert_array_equal(states[0][x], whole[x])


def test_parts_have_names(model):
    image = compile_model(model, get("small"), context=32)
    part = first_part(image, get("small"), 2, cuts(image)[4])
    names = [part.node(pc) for pc in range(part.length)]
    assert names[-1] == "end" and names[0] == "embedding"
    assert names.count("layer / ffn / down") < names.count("layer / attention / kv")


def test_layers_of_several_kinds():
    config = replace(get("small"), vector_words=1 << 16, program_words=4096)
    image = compile_model(toy_model(family="gemma3"), config, 64)
    with pytest.raises(UserError, match="^toy: layers must be all alike to be looked at one after"):
        first_layers(image, 2)
