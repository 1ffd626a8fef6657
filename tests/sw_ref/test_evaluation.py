import numpy as np
import pytest
import torch

from mapper.compile import compile_model
from sim.functional import ModelDevice
from sim.models.toy import toy_model
from sw_ref.evaluation import (
    EVALUATION,
    float32_losses,
    losses,
    machine_losses,
    top1_agreement,
    windows,
)
from sw_ref.pytorch.interpreter import Float32


RNG = np.random.default_rng(3)
TEXTS = [[int(n) for n in RNG.integers(0, 96, length)] for length in (37, 64, 2)]


@pytest.fixture(scope="module")
def model():
    return toy_model(heads=6, kv_heads=2, tied=False)


@pytest.fixture(scope="module")
def device(model):
    device = ModelDevice(EVALUATION)
    device.load(compile_model(model, EVALUATION, context=64))
    return device


def of_torch(model, ids):
    log_p = torch.log_softmax(Float32(model)(ids).double(), -1)
    return [-float(log_p[n, token]) for n, token in enumerate(ids[1:])]


def test_losses():
    logits = np.log([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]) + 1000
    np.testing.assert_allclose(losses(logits, [1, 2]), -np.log([0.25, 0.7]))


def test_windows():
    assert windows(list(range(7)), 3) == [[0, 1, 2], [3, 4, 5]]
    assert windows(list(range(8)), 3) == [[0, 1, 2], [3, 4, 5], [6, 7]]


def test_float32_is_torchs(model):
    seen = []
    got = float32_losses(model, TEXTS, seen.append)
    np.testing.assert_allclose(got, sum((of_torch(model, ids) for ids in TEXTS), []), atol=1e-4)
    assert seen == [1, 2]


def test_machine_is_near(model, device):
    seen = []
    got, exact = machine_losses(device, TEXTS, seen.append), float32_losses(model, TEXTS)
    # Random weights are much sharper than a trained model's.
    assert np.abs(got - exact).mean() < 0.2 and abs(got.mean() - exact.mean()) < 0.05
    assert seen == sorted(seen) and seen[-1] == len(got) == 36 + 63 + 1
    # Columns and order make no difference.
    one = [
        losses(device.logits[:1], [b])[0]
        for n, (a, b) in enumerate(zip(TEXTS[0], TEXTS[0][1:]))
        if len(device.step([a], n, True).ids)
    ]
    np.testing.assert_array_equal(got[:36], one)


def test_top1_agreement(device):
    path, best = list(TEXTS[0][:19]), []
    for position, token in enumerate(path):
        device.step([token], position, True)
        best.append(int(device.logits[0].argmax()))
    # Teacher-forced: what the reference says next is fed, right or wrong.
    items = [(path[:n], [*path[n:], best[-1]]) for n in (1, 17)]
    expected = sum(
        best[n - 1 + k] == token
        for n, (_, ids) in zip((1, 17), items)
        for k, token in enumerate(ids)
    )
    assert top1_agreement(device, items) == (19 + 3, expected) and expected >= 2
