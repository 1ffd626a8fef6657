"""Three cores, one answer: whole models on the simulated FPGA with each core, at two sizes.

The functional model knows nothing of cores. Its tokens, its logits and its DRAM are what every core
must come to, from one and the same program image.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from host.language.generate import Session
from mapper.compile import compile_model
from mapper.read.find import load
from rtl.spec.config import CONFIGS, CORES, get
from rtl.spec.csr import BEST
from sim.fpga.device import SimDevice
from sim.functional import ModelDevice
from sim.models.configs import of_files
from sim.models.toy import mixed_model


CONTEXT = 96
# All layers are one loop's body, and test_smollm2.py runs all: what differs between cores is shown
# by a few of SmolLM2's, whose 30 are 106 million products a token.
LAYERS = 3
# Name of the model, the prompt's tokens and how many come after them.
RUNS = {
    ("tiny", "small"): ([17, 300, 45, 201, 88], 4),
    ("tiny", "wide"): ([17, 300, 45, 201, 88], 4),
    ("tiny-sparse", "small"): ([17, 300, 45, 201, 88], 3),
    ("tiny-sparse", "wide"): ([17, 300, 45, 201, 88], 3),
    ("tiny-mixed", "small"): ([17, 300, 45, 201, 88], 3),
    ("tiny-mixed", "wide"): ([17, 300, 45, 201, 88], 3),
    ("smollm2", "small"): ([504], 1),
    ("smollm2", "wide"): ([504, 3575, 282, 7762, 314], 2),
}
SECONDS = {"tiny": 30, "tiny-sparse": 30, "tiny-mixed": 30, "smollm2": 90}
# The systolic core has SmolLM2 to itself in test_smollm2.py, on the wide configuration.
CASES = [
    pytest.param(
        core, size, model, marks=pytest.mark.seconds(SECONDS[model] + (size == "wide") * 60)
    )
    for model, size in RUNS
    for core in CORES
    if (model, core, size) != ("smollm2", "systolic", "wide")
]


def named(core, size):
    """The configuration of that core and size."""
    (config,) = (c for c in CONFIGS.values() if c.core == core and c.name.startswith(size))
    return config


def answer(device, image, ids, count):
    device.load(image)
    session = Session(
        device, context=image.context, columns=device.config.columns, vocab=image.vocab
    )
    return list(session.generate(ids, count))


@cache
def expected(model, size):
    """The program image, and what the functional model makes of it: steps and memory."""
    config, loaded = get(size), load(model)
    loaded = replace(loaded, layers=loaded.layers[:LAYERS])
    image = compile_model(loaded, config, CONTEXT)
    device = ModelDevice(config)
    steps = answer(device, image, *RUNS[model, size])
    return image, steps, device.machine.memory.copy()


@pytest.mark.parametrize("core, size, model", CASES)
def test_same_bits(core, size, model):
    same(named(core, size), RUNS[model, size], *expected(model, size))


@pytest.mark.seconds(30)
@pytest.mark.parametrize("size", ["small", "wide"])
@pytest.mark.parametrize("core", CORES)
def test_every_format_in_turn(core, size):
    """Each matrix has another format in each layer: all that the core is built for."""
    config = named(core, size)
    model = mixed_model(config, len(config.formats), vocab=300)
    image, device = compile_model(model, config, CONTEXT), ModelDevice(config)
    assert image.formats == list(config.formats)
    run = [17, 201, 88, 5, 9], 3
    want = answer(device, image, *run)
    same(config, run, image, want, device.machine.memory)


@pytest.mark.seconds(40)
@pytest.mark.parametrize("core", CORES)
def test_formats_of_files(core):
    """The same, with 5 and 6 bits, groups of 16 and code books."""
    config = of_files(core)
    model = mixed_model(config, len(config.formats), vocab=300)
    image, device = compile_model(model, config, CONTEXT), ModelDevice(config)
    assert image.formats == list(config.formats)
    run = [17, 201, 88], 2
    same(config, run, image, answer(device, image, *run), device.machine.memory)


def same(config, run, image, want, memory):
    """Run an image on the accelerator, and compare it with the functional model's steps and
    memory."""
    ids, count = run
    with SimDevice(config) as device:
        got = answer(device, image, ids, count)
        for ours, theirs in zip(got, want, strict=True):
            assert ours.id == theirs.id and ours.position == theirs.position
            assert len(ours.top_ids) == BEST and ours.top_ids == theirs.top_ids
            assert np.array_equal(
                np.array(ours.top_logits, np.float32).view(np.uint32),
                np.array(theirs.top_logits, np.float32).view(np.uint32),
            )
            assert ours.cycles > 0 and theirs.cycles is None
        different = np.flatnonzero(device.memory != memory)
        assert not different.size, (
            f"DRAM differs in {different.size} bytes, from {different[0]:#x} on"
        )


def test_all_that_is_promised_is_run():
    """Every core, at two sizes, runs every model."""
    run = {tuple(case.values) for case in CASES} | {("systolic", "wide", "smollm2")}
    assert run == {
        (core, size, model)
        for core in CORES
        for size in ("small", "wide")
        for model in ("tiny", "tiny-sparse", "tiny-mixed", "smollm2")
    }
    assert {c.core for c in CONFIGS.values() if c.name.startswith("small")} == set(CORES)
