"""Narrow machines: beats of 16 to 64 bits, one answer and one image.

Every core at every width runs the image that was compiled for 128 bits, and comes to the functional
machine's tokens, logits and DRAM. Some pairs of a core and a width are always run, so that each is
in one of them; the others where they are asked for (`make test-all`).
"""

from dataclasses import replace

import pytest

from mapper.compile import compile_model
from rtl.spec.config import CORES
from sim.functional import ModelDevice
from sim.models.toy import mixed_model

from .chosen import cases
from .test_three_cores import CONTEXT, answer, named, same


WIDTHS = (64, 32, 16)
PAIRS = [(f"{core}-{bits}", core, bits) for core in CORES for bits in WIDTHS]
ALWAYS = ("systolic-64", "lut-32", "dspchain-16")


def run_on(config, model, run):
    """Compile a model for the 128 bits of a configuration, and run the image on narrower ones."""
    wide = replace(config, beat_bits=128)
    assert wide.digest == config.digest
    image, device = compile_model(model, wide, CONTEXT), ModelDevice(wide)
    want = answer(device, image, *run)
    same(config, run, image, want, device.machine.memory)


@pytest.mark.seconds(40)
@pytest.mark.parametrize("name, core, beat_bits", cases(PAIRS, ALWAYS))
def test_every_format(name, core, beat_bits):
    """Each matrix has another format in each layer: all that the core is built for."""
    config = replace(named(core, "small"), beat_bits=beat_bits)
    model = mixed_model(config, len(config.formats), vocab=300)
    run_on(config, model, ([17, 201], 2))


def test_each_is_always_run():
    """Every core, and every width."""
    pairs = {name: each for name, *each in PAIRS}
    chosen = [pairs[name] for name in ALWAYS]
    assert {core for core, _ in chosen} == set(CORES)
    assert {bits for _, bits in chosen} == set(WIDTHS)
