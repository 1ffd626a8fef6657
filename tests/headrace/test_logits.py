"""`headrace.load(...).logits(ids)`: the functional machine's best, or all of float32."""

import numpy as np
import pytest

import headrace
from sw_ref.pytorch.interpreter import Float32


pytestmark = pytest.mark.seconds(1)  # whole models, which `make check` leaves out


IDS = [int(n) for n in range(5, 200, 9)]


@pytest.fixture(scope="module")
def tiny():
    return headrace.load("tiny")


@pytest.mark.seconds(2)
def test_best_are_near_float32(tiny):
    ids, logits = tiny.logits(IDS)
    reference = tiny.logits(np.array(IDS), reference=True)
    assert ids.shape == logits.shape == (len(IDS), 64)
    assert ids.dtype == np.int32 and logits.dtype == reference.dtype == np.float32
    assert reference.shape == (len(IDS), tiny.source.vocab)
    np.testing.assert_allclose(reference, Float32(tiny.source)(IDS), rtol=1e-3, atol=1e-3)
    assert (np.diff(logits) <= 0).all()
    exact = np.take_along_axis(reference, ids.astype(int), -1)
    assert np.sqrt(np.square(logits - exact).mean() / np.square(exact).mean()) < 0.05
    assert (ids[:, 0] == reference.argmax(-1)).mean() > 0.8


def test_runs_do_not_depend_on_each_other(tiny):
    for got, expected in zip(tiny.logits(IDS[:7]), tiny.logits(IDS)):
        np.testing.assert_array_equal(got, expected[:7])


def test_an_image(tiny, tmp_path):
    path = tmp_path / "tiny.safetensors"
    tiny.compile("small", context=32).save(path)
    image = headrace.load(path)
    for got, expected in zip(image.logits(IDS), tiny.logits(IDS)):
        np.testing.assert_array_equal(got, expected)
    with pytest.raises(headrace.Error) as refused:
        image.logits(IDS, reference=True)
    assert str(refused.value) == f"{path}: must be a model for its float32, this is an image"
    with pytest.raises(headrace.Error, match="^ids must be 1 to 32, the context, not 33$"):
        image.logits([1] * 33)


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize(
    "ids, message",
    [
        ([], "ids must be 1 to 256, the context, not 0"),
        ([1] * 257, "ids must be 1 to 256, the context, not 257"),
        ([1024], "ids must be from 0 to 1023, the vocabulary, not 1024"),
        ([-1], "ids must be from 0 to 1023, the vocabulary, not -1"),
        ([1.5], "ids must be integers, not 1.5"),
        ("a", "ids must be integers, not 'a'"),
    ],
)
def test_refused(tiny, ids, message, reference):
    with pytest.raises(headrace.Error) as refused:
        tiny.logits(ids, reference=reference, context=256)
    assert str(refused.value) == message
