from dataclasses import replace

import numpy as np
import pytest

from mapper.compile import compile_model
from mapper.model import Layers
from mapper.truncate import first_layers
from rtl.spec.config import get
from rtl.spec.isa import WeightFormat
from sw_ref.machine import Machine
from sim.models.toy import toy_model


@pytest.fixture(scope="module", params=["U4", "SPARSE4"])
def model(request):
    return toy_model(layers=3, format=WeightFormat[request.param])


def logits(config, image):
    machine = Machine(config, image.dram(), writable=image.writable)
    for position, token in enumerate((5, 80, 3)):
        machine.run(image.instructions, tokens=[token], position=position)
    return machine.logits.copy()


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
