"""`python -m headrace.studies.roundings`: one rounding at a time."""

import numpy as np
import pytest

from headrace.studies import roundings as study
from headrace.studies.roundings import ROUNDINGS, Rounding, int8, rounded_losses
from mapper.compile import compile_model
from sim.functional import ModelDevice
from sim.models.toy import toy_model
from sw_ref.evaluation import EVALUATION, compared
from tests.mapper import synthetic


TEXTS = [[5, 17, 80, 3, 42, 9, 66, 1, 30, 11, 90, 7], [4, 8, 15, 16, 23, 42]]


@pytest.mark.seconds(2)
def test_each_is_measured():
    """Nothing rounded is float32; all together are about as far from it as the machine is."""
    model = toy_model()
    device = ModelDevice(EVALUATION)
    device.load(compile_model(model, EVALUATION, context=32))
    measured = compared(model, device, TEXTS)
    reference = measured.reference
    np.testing.assert_allclose(rounded_losses(model, TEXTS, Rounding()), reference, atol=1e-5)
    found = {
        name: np.abs(rounded_losses(model, TEXTS, its) - reference).mean()
        for name, its in ROUNDINGS.items()
    }
    assert 0 < found["integer scales"] < found["activations"] < found["all three"]
    assert 0 < found["keys and values"]
    machine = np.abs(measured.losses - reference).mean()
    assert 0.5 < found["all three"] / machine < 2


def test_changes_are_relative_to_float32():
    rows = list(study.compared(toy_model(), TEXTS))
    assert [name for name, *_ in rows] == [*ROUNDINGS]
    assert rows[0][2:] == (0, 0)
    for _, perplexity, change, error in rows[1:]:
        assert change == pytest.approx(perplexity / rows[0][1] - 1) and error > 0


def test_int8():
    x = np.float32([[1, 0.5, -2, 3.99] + [0] * 28 + [64] + [0.2] * 31])
    found = int8(x)
    assert found[0, :4].tolist() == [1, 0.5, -2, 3.96875] and found[0, 33] == 0
    assert int8(x, 64)[0, :4].tolist() == [1, 1, -2, 4]


@pytest.mark.seconds(2)
def test_command(tmp_path, capsys):
    path, text = synthetic.write(tmp_path / "m.gguf"), tmp_path / "text"
    text.write_text("hello world, or so. " * 10)
    args = [str(text), "--model", str(path), "--tokens"]
    assert study.main([*args, "40"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("| float32 | ") and lines[2].endswith(" | +0.00 % | 0.00 % |")
    assert len(lines) == 2 + len(ROUNDINGS)
    assert study.main([*args, "1"]) == 2
    assert "--tokens must be at least 2, not 1" in capsys.readouterr().err
