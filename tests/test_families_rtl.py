"""A small model of each family on the simulated FPGA: logits, DRAM and vector memory are those of
the functional machine, step by step, while the DRAM's bus pauses at random.

`make test` takes a few families, `make families` all of them, `-k NAME` the one.
"""

from dataclasses import replace
from functools import cache
from random import Random

import numpy as np
import pytest

from mapper.compile import compile_model
from mapper.families import FAMILIES
from rtl.spec.config import CORES, get
from sim.fpga.adverse import adverse
from sim.functional import ModelDevice
from sim.models.case import Case, Step
from sim.models.compare import Pair
from sim.models.configs import CONFIGS
from sim.models.toy import toy_model

from .chosen import cases


CAP = 5.0  # of Gemma 2's toy
CONTEXT = 96
WINDOW = 20  # of the toys: positions go well beyond it, and beyond the ring of its blocks
FEW = ("gemma2", "gptneox")  # `make test` has Llamas in many other tests
THREE = ("gemma3", "qwen2", "bitnet")  # on all cores, by `make families`


@cache
def pair(core):
    """Both devices: one accelerator is built for all families."""
    config = replace(
        get("small"),
        name=f"families-{core}",
        core=core,
        formats=(),
        columns=2,
        vector_words=1 << 16,
        program_words=4096,
        score_cap=CAP,
    )
    return Pair(config)


def steps(vocab, random):
    """A prompt, two tokens a step, then tokens one by one at the end of the context."""
    tokens = [random.randrange(vocab) for _ in range(CONTEXT)]
    for at in range(0, CONTEXT - 6, 2):
        yield Step(tuple(tokens[at : at + 2]), at, at % 32 == 0)
    for at in range(CONTEXT - 6, CONTEXT):
        yield Step((tokens[at],), at, True)


def equal(core, family):
    """Run a toy on both machines, and compare them; returns what the case was."""
    random, its = Random(f"{core} {family}"), pair(core)
    options = {} if family == "gemma2" else {"heads": 6, "kv_heads": 2}
    model = toy_model(family=family, context=CONTEXT, **options)
    image = compile_model(model, its.config, CONTEXT)
    case = Case(None, tuple(steps(model.vocab, random)), adverse(random))
    its.compare(case, image)
    return model, image


HEADS = [  # hardware, and elements of heads that are padded there
    *(("families", dim) for dim in (16, 32, 48)),
    *(("models-lut", dim) for dim in (32, 80, 96)),
]


@pytest.mark.seconds(8)
@pytest.mark.parametrize("hardware, dim", HEADS)
def test_padded_heads(hardware, dim):
    """From a block of the KV cache to the next."""
    its = pair("systolic") if hardware == "families" else Pair(CONFIGS[hardware])
    random = Random(f"{hardware} {dim}")
    model = toy_model(heads=4, kv_heads=2, head_dim=dim, context=64)
    image = compile_model(model, its.config, 64)
    assert dim < its.config.head_dim
    tokens = [random.randrange(model.vocab) for _ in range(5)]
    taken = (
        Step(tuple(tokens[:2]), 29, False),
        *(Step((t,), 31 + n, True) for n, t in enumerate(tokens[2:])),
    )
    its.compare(Case(None, taken, adverse(random)), image)


@pytest.mark.seconds(90)
@pytest.mark.parametrize("family", cases(FAMILIES, FEW))
def test_equals_the_functional_machine(family):
    model, image = equal("systolic", family)
    rings = [blocks for _, blocks, window in image.model["kv_blocks"] if window]
    assert bool(rings) == bool(model.shape.window)
    assert all(32 * blocks < CONTEXT for blocks in rings)
    assert model.shape.attention_cap in (0, CAP)
    assert model.shape.window in (0, WINDOW)


@pytest.mark.seconds(200)
@pytest.mark.parametrize(
    "family, core",
    cases([(family, core) for family in THREE for core in CORES if core != "systolic"], ()),
)
def test_three_cores(family, core):
    equal(core, family)


@pytest.mark.seconds(20)
def test_a_wider_window_is_seen():
    """Logits differ from those of a window of one position more, and not before it has that."""
    model, its = toy_model(family="mistral", context=CONTEXT), pair("systolic")
    wider = replace(model, shape=replace(model.shape, window=WINDOW + 1))
    images = [compile_model(each, its.config, CONTEXT) for each in (model, wider)]
    right, random = ModelDevice(its.config), Random(1)
    right.load(images[0])
    with its.device(adverse(random)) as sim:
        sim.load(images[1])
        seen = []
        for position in range(WINDOW + 4):
            step = [random.randrange(model.vocab)], position, True
            got, want = sim.step(*step), right.step(*step)
            seen.append(not np.array_equal(got.logits, want.logits))
    assert seen == [False] * WINDOW + [True] * 4
