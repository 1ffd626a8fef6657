# amaranth: UnusedElaboratable=no
"""A linear core that is registered is in the conformance bench, in the list of oracles, and among
the files that mutants are drawn of: nothing else has to name it."""

from importlib.util import find_spec, module_from_spec

import pytest

from rtl.cores import CORES
from rtl.cores.systolic import SystolicCore
from rtl.spec import config as configs
from sim.mutate import owners, verdicts
from sim.mutate.owners import OWNERS, Owner


NAME = "abacus"


@pytest.fixture
def core(monkeypatch):
    """A core that only this test has."""
    cls = type("Abacus", (SystolicCore,), {"__module__": f"rtl.cores.{NAME}"})
    monkeypatch.setitem(CORES, NAME, cls)
    for known in configs.NATIVE, configs.CORES, configs.DEFAULTS:
        monkeypatch.setitem(known, NAME, known["systolic"])
    return cls


def again(name):
    """A module as it is with the cores that there are now; the one that is imported stays."""
    spec = find_spec(name)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_conformance_bench(core):
    cases = again("sim.benches.cores.core").CASES
    assert {name for name in cases if name.startswith(NAME)} == {
        "abacus-small",
        "abacus-odd",
        "abacus-plain",
        "abacus-files",
        "abacus-books",
        "abacus-half",
        "abacus-quarter",
        "abacus-eighth",
    }
    assert all(type(cases[name]()) is core for name in cases if name.startswith(NAME))


def test_oracles(core):
    components, file = again("sim.oracles.components"), f"rtl/cores/{NAME}.py"
    assert components.COMPUTES[file] == ("core", ["linear.PRODUCTS"])
    assert components.unlisted([file]) == []
    assert components.needed("core") == {"linear.PRODUCTS"}


def test_mutants(core):
    """From a netlist that has it. Other benches' mutants stay the same."""
    found = again("sim.mutate.owners").OWNERS
    assert found["core"].parts == (*OWNERS["core"].parts, ("abacus-small", ("cores/abacus",)))
    assert {unit: of.parts for unit, of in found.items() if unit != "core"} == {
        unit: of.parts for unit, of in OWNERS.items() if unit != "core"
    }


def test_core_with_a_bench_of_its_own():
    assert OWNERS["dspchain"].files[0] == "cores/dspchain"
    assert all(
        "cores/dspchain" not in of.files for of in OWNERS.values() if of != OWNERS["dspchain"]
    )


TWO = Owner((("systolic-small", ("cores/systolic",)), ("lut-small", ("cores/lut",))))


@pytest.mark.parametrize("count", [1, 2, 9])
def test_parts_have_their_share(count):
    drawn = {case: (files, number) for case, files, number in TWO.drawn(count)}
    assert sum(number for _, number in drawn.values()) == count
    assert all(files == dict(TWO.parts)[case] for case, (files, _) in drawn.items())
    assert len(drawn) == min(count, 2)


class Subject:
    """Stands for a netlist, of which the bench kills the odd mutants."""

    made = []

    def __init__(self, unit, case):
        self.netlist = self.mutated = case

    def insert(self, mutants):
        self.made.append((self.netlist, list(mutants)))

    def killed(self, numbers):
        return {n for n in numbers if n % 2}


@pytest.mark.parametrize("only", [None, 1, 5])
def test_numbers_go_on(monkeypatch, only):
    """Over all netlists of a bench; with one number, only the netlist that has it is built."""
    monkeypatch.setattr(Subject, "made", [])
    monkeypatch.setattr(verdicts, "Subject", Subject)
    monkeypatch.setattr(verdicts, "owner", lambda unit: TWO)
    monkeypatch.setattr(owners, "_lines", len)
    monkeypatch.setattr(
        verdicts, "draw", lambda text, wanted, seed: [f"{text} {n}" for n in range(wanted[0][1])]
    )
    monkeypatch.setattr(verdicts, "proof", lambda *args: None)
    found = list(verdicts.of_bench("core", 6, 1, only))
    every = [
        (n + before, f"{case} {n - 1}", verdicts.KILLED if n % 2 else verdicts.SURVIVED)
        for case, before in (("systolic-small", 0), ("lut-small", 3))
        for n in (1, 2, 3)
    ]
    assert found == [each for each in every if only in (None, each[0])]
    assert len(Subject.made) == (2 if only is None else 1)
