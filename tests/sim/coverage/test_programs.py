"""Bins of random programs: how many of each class, and those that are no longer reached."""

import pytest

from rtl.spec.config import get
from sim.coverage.programs import entries, run, worse
from sim.programs.coverage import CLASSES, Coverage


def reached(*bins):
    coverage = Coverage(get("small"))
    coverage.seen.update(bins)
    return entries(coverage)


def test_entries():
    found = reached(("tokens", "LOAD", "LINEAR"), ("tokens", "LINEAR", "VECTOR"), ("nothing",))
    assert list(found["classes"]) == list(CLASSES)
    assert found["classes"]["tokens"] == [2, 12] and found["classes"]["limits"][0] == 0
    assert len(found["missing"]) == sum(all for _, all in found["classes"].values()) - 2
    assert "tokens LOAD LINEAR" not in found["missing"]


def test_worse():
    before, now = (
        reached(("tokens", "LOAD", "LINEAR"), ("limits", "head", True)),
        reached(("limits", "head", True)),
    )
    assert list(worse(before, now)) == ["tokens LOAD LINEAR: no program reaches it"]
    assert not list(worse(now, before)) and not list(worse({}, now))


@pytest.mark.seconds(5)
def test_run():
    """A program reaches some of each class."""
    found = entries(run(get("small"), 1))
    assert all(0 < some < all for some, all in found["classes"].values())
