import numpy as np
import pytest
import torch

from mapper.compile import compile_model
from sim.functional import ModelDevice
from sim.models.toy import toy_model
from sw_ref.evaluation import (
    EVALUATION,
    best_logits,
    compared,
    losses,
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


def test_losses():
    logits = np.log([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]) + 1000
    np.testing.assert_allclose(losses(logits, [1, 2]), -np.log([0.25, 0.7]))


def test_windows():
    assert windows(list(range(7)), 3) == [[0, 1, 2], [3, 4, 5]]
    assert windows(list(range(8)), 3) == [[0, 1, 2], [3, 4, 5], [6, 7]]


def one_by_one(device, ids):
    """Logits of a sequence, fed token by token: columns and order make no difference."""
    rows = []
    for position, token in enumerate(ids):
        device.step([token], position, True)
        rows.append(device.logits[0].copy())
    return np.array(rows)


def test_compared(model, device):
    """Every figure is what PyTorch makes of both sides' logits."""
    seen = []
    found = compared(model, device, TEXTS, lambda *told: seen.append(told))
    expected = [[], [], [], []]
    for ids in TEXTS:
        exact = torch.log_softmax(Float32(model)(ids).double(), -1)
        machine = torch.log_softmax(torch.tensor(one_by_one(device, ids)).double(), -1)
        kl = torch.nn.functional.kl_div(machine, exact, reduction="none", log_target=True).sum(-1)
        following = torch.tensor(ids[1:])[:, None]
        expected[0] += kl.tolist()
        expected[1] += (machine.argmax(-1) == exact.argmax(-1)).tolist()
        expected[2] += (-machine[:-1].gather(1, following)[:, 0]).tolist()
        expected[3] += (-exact[:-1].gather(1, following)[:, 0]).tolist()
    np.testing.assert_allclose(found.kl, expected[0], rtol=0.01, atol=1e-5)
    np.testing.assert_array_equal(found.agree, expected[1])
    np.testing.assert_allclose(found.losses, expected[2], atol=1e-9)
    np.testing.assert_allclose(found.reference, expected[3], atol=1e-4)
    assert len(found.kl) == 103 and len(found.losses) == 100 and 0 < found.agree.mean() <= 1
    assert seen[:2] == [("float32", 1, 2), ("float32", 2, 2)]
    assert seen[-1] == ("the machine", 103, 103) and seen[2][1] == 16


def test_machine_is_near(model, device):
    found = compared(model, device, TEXTS)
    # Random weights are much sharper than a trained model's.
    assert np.abs(found.losses - found.reference).mean() < 0.2
    assert abs(found.losses.mean() - found.reference.mean()) < 0.05
    assert 0 < found.kl.mean() < 0.1


def test_another_model_is_far(device):
    """The figures see a difference."""
    found = compared(toy_model(heads=6, kv_heads=2, tied=False, seed=8), device, TEXTS)
    assert found.kl.mean() > 1 and found.agree.mean() < 0.2


def test_best_logits(device):
    ids, logits = best_logits(device, TEXTS[0])
    exact = one_by_one(device, TEXTS[0])
    order = np.argsort(-exact, axis=-1, kind="stable")[:, :64]
    assert ids.dtype == np.int32 and logits.dtype == np.float32
    np.testing.assert_array_equal(ids, order)
    np.testing.assert_array_equal(logits, np.take_along_axis(exact, order, -1))


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
