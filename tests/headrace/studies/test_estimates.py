"""Errors of estimates, by machine; and how cases are drawn."""

from types import SimpleNamespace

import pytest

from headrace.studies import estimates
from headrace.studies.estimates import Measured, by_machine, cases, summary
from rtl.spec.config import CONFIGS


def measured(machine, cycles, estimate):
    return Measured(
        machine=machine,
        model="tiny",
        position=0,
        columns=1,
        head=True,
        cycles=cycles,
        estimate=estimate,
    )


def test_by_machine():
    """Errors of either sign count, each at its own machine and in all."""
    found = [measured("small", 100, 99), measured("small", 200, 206), measured("wide", 50, 50)]
    assert list(by_machine(found)) == [
        ["small", "2", "2.00 %", "3.00 %"],
        ["wide", "1", "0.00 %", "0.00 %"],
        ["all", "3", "1.33 %", "3.00 %"],
    ]
    assert summary(found)["estimate_mean_error_percent"] == pytest.approx(4 / 3)
    assert summary(found)["estimate_worst_error_percent"] == pytest.approx(3)


def test_cases(monkeypatch):
    """A seed draws the same cases again, as many of each machine, within the model's context."""
    shape, image = SimpleNamespace(hidden=64, layers=2), SimpleNamespace(context=40)
    monkeypatch.setattr(estimates, "_known", lambda name, config: image)
    monkeypatch.setattr(estimates, "draw", lambda config, chance: (shape, image))
    machines = [CONFIGS["wide"], CONFIGS["wide-lut"]]
    found = list(cases(100, 1, machines))
    assert [its.config.name for its in found] == ["wide"] * 50 + ["wide-lut"] * 50
    assert found == list(cases(100, 1, machines)) != list(cases(100, 2, machines))
    assert {its.columns for its in found} == {1, 2, 3, 4}
    assert all(0 <= its.position <= image.context - its.columns for its in found)
