"""Perplexity beside float32, and how sure the difference is."""

import numpy as np
import pytest

import sw_ref.evaluation
from headrace.library.evaluation import perplexities
from sw_ref.evaluation import Compared


def measured(monkeypatch, machine, reference):
    """What is said of losses in nats."""
    found = Compared(
        kl=np.array([0.1, 0.3]),
        agree=np.array([True, False, True, True]),
        losses=np.array(machine),
        reference=np.array(reference),
    )
    monkeypatch.setattr(sw_ref.evaluation, "compared", lambda *args: found)
    return perplexities(None, None, None)


def test_figures(monkeypatch):
    found = measured(monkeypatch, [1.0, 2.0, 3.1, 4.1], [1.0, 2.0, 3.0, 4.0])
    assert found["tokens"] == 4
    assert found["kl"] == pytest.approx(0.2) and found["top1_agreement"] == 0.75
    assert found["positions"] == 2
    assert found["perplexity"] == pytest.approx(np.exp(2.55))
    assert found["reference_perplexity"] == pytest.approx(np.exp(2.5))
    assert found["change_error"] == pytest.approx(0.05 / 2)


def test_error_is_of_the_difference(monkeypatch):
    """Losses that differ between tokens, but alike, leave no doubt."""
    reference = np.arange(100.0)
    assert measured(monkeypatch, reference + 0.01, reference)["change_error"] < 1e-9
    gen = np.random.default_rng(1)
    noise = gen.normal(0, 0.1, 400)
    found = measured(monkeypatch, noise, np.zeros(400))
    assert found["change_error"] == pytest.approx(0.1 / 20, rel=0.1)
