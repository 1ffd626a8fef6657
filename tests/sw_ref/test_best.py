"""Best logits: equal ones, zeros of both signs, and fewer than there are places."""

import numpy as np
import pytest
import torch

from mapper.compile import compile_model
from rtl.spec.config import get
from rtl.spec.csr import BEST
from sim.functional import ModelDevice
from sim.harness.patterns import EDGES, floats
from sim.models.toy import toy_model
from sw_ref.best import PADDING, best
from sw_ref.machine import Machine
from sw_ref.numerics import MAX
from sw_ref.pytorch import linear as torch_linear


VOCABULARIES = [1, 2, 63, 64, 65, 300]


def logits(kind, count):
    rng = np.random.default_rng(count)
    return {
        "random": lambda: rng.normal(size=count),
        "ties": lambda: rng.choice(np.float32([1, -1, 0, -0.0, MAX, -MAX, 2.0**-126]), count),
        "zeros": lambda: rng.choice(np.float32([0, -0.0]), count),
        "all least": lambda: np.full(count, -MAX),
        "edges": lambda: rng.choice(STORED, count),
    }[kind]().astype(np.float32)


STORED = floats([x for x in EDGES if x >> 23 & 0xFF not in (0, 255)] + [0, 0x80000000])


@pytest.mark.parametrize("count", VOCABULARIES)
@pytest.mark.parametrize("kind", ["random", "ties", "zeros", "all least", "edges"])
def test_order(kind, count):
    values = logits(kind, count)
    # Python's sort is stable, and to it -0 equals 0.
    order = sorted(range(count), key=lambda n: -float(values[n]))[:BEST]
    want = [(n, values[n].view(np.uint32)) for n in order] + [(0, 0xFF7FFFFF)] * (BEST - len(order))
    got = [(n, value.view(np.uint32)) for n, value in best(values)]
    assert got == want
    ids, theirs = torch_linear.best(torch.tensor(values))
    assert list(zip(ids.tolist(), theirs.numpy().view(np.uint32).tolist())) == want


def test_before_any_search():
    machine = Machine(get("small"), np.zeros(64, np.uint8))
    assert machine.best == [PADDING] * BEST


@pytest.mark.parametrize("vocab", VOCABULARIES)
def test_no_padding_is_a_token(vocab):
    """The functional machine fills the list up, the device offers tokens only."""
    config = get("small")
    device = ModelDevice(config)
    device.load(compile_model(toy_model(vocab=vocab), config, context=32))
    step = device.step([vocab - 1], 0, True)
    assert len(device.machine.best) == BEST
    assert device.machine.best[vocab:] == [PADDING] * (BEST - vocab)
    assert len(step.ids) == len(step.logits) == len(set(step.ids.tolist())) == min(BEST, vocab)
    assert step.ids.max() < vocab
