"""What cannot work is refused before a model is compiled, or a device is built."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import mapper.compile
from boards import flow
from rtl.spec.config import CORES
from sim import measure

from ..host import fake
from .command import call, error


ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def nothing_compiles(monkeypatch):
    def never(*args):
        raise AssertionError("this must have been refused before")

    monkeypatch.setattr(mapper.compile, "compile_model", never)
    monkeypatch.setattr(flow, "build", never)
    monkeypatch.setattr(measure, "measure", never)


@pytest.mark.parametrize(
    "args, message",
    [
        (
            ["--device", "uart:/nowhere"],
            "--device uart:/nowhere: there is no port /nowhere; is the board connected?",
        ),
        (
            ["--device", "uart:/nowhere:9600"],
            "--device uart:/nowhere:9600: there is no port /nowhere; is the board connected?",
        ),
        (
            ["--device", "uart:/dev/null:7"],
            "uart: a port must be PATH or PATH:BAUD with a baud rate from 1200 to "
            "20000000, not '/dev/null:7'",
        ),
        (
            ["--device", "pynq:/nowhere.bit"],
            "--device pynq:/nowhere.bit: /nowhere.bit must be a file, but is not",
        ),
        (["--device", "xrt:/dev"], "--device xrt:/dev: /dev must be a file, but is not"),
        (["--timeline", ""], "{cwd}: must be a file to write, it is a folder"),
        (["--timeline", "/dev"], "/dev: must be a file to write, it is a folder"),
        (["--timeline", "/nowhere/a"], "/nowhere/a: its folder must exist"),
        (
            ["--context", "1000000000000000000000"],
            "context must be from 1 to 256, the positions that the model was "
            "trained for, not 1000000000000000000000",
        ),
        (["--temperature", "nan"], "temperature must be 0 or more, not nan"),
        (["--top-k", "0"], "top-k must be from 1 to 64, the logits that a device returns, not 0"),
        (["--top-p", "nan"], "top-p must be above 0 and at most 1, not nan"),
        (["--seed", "-1"], "seed must be 0 or more, not -1"),
        (["--tokens", "-1"], "--tokens must be at least 1, not -1"),
    ],
)
@pytest.mark.parametrize("command", ["run", "chat"])
def test_run_and_chat(model, capsys, nothing_compiles, command, args, message):
    assert error(
        capsys, command, "--model", model, *["--device", "sim"] * ("--timeline" in args), *args
    ) == message.format(cwd=Path.cwd())
    assert not fake.Device.made


@pytest.mark.parametrize(
    "output, message",
    [
        (
            "/dev/null/a.safetensors",
            "/dev/null/a.safetensors: cannot be written: /dev/null is no folder; choose another "
            "place",
        ),
        ("", ": an image's name must end in .safetensors"),
    ],
)
def test_compile(model, capsys, nothing_compiles, output, message):
    assert error(capsys, "compile", "--model", model, "-o", output) == message


def test_prune(model, capsys, nothing_compiles):
    assert (
        error(capsys, "prune", "--model", model, "--text", __file__, "-o", "/dev/null/a")
        == "/dev/null/a: cannot be written: /dev/null is no folder; choose another place"
    )
    assert error(
        capsys, "prune", "--model", model, "--text", "/dev", "-o", "/nowhere/a"
    ).startswith("/dev: cannot be read: Is a directory")


@pytest.mark.parametrize(
    "args, message",
    [
        (["verilog", "-o", ""], "--output must be a folder to write to, it is empty"),
        (["compare", "--prompt", ""], "--prompt must be a text, it is empty"),
        (["compare-cores", "--prompt", ""], "--prompt must be a text, it is empty"),
        (["compare-cores", "--cores", ""], f"--cores must be of {', '.join(CORES)}, not ''"),
    ],
)
def test_empty(capsys, nothing_compiles, args, message):
    assert error(capsys, *args) == message


def test_other_programs(capsys, nothing_compiles):
    said = ": cannot be written: /dev/null is no folder; choose another place\n"
    assert (
        f"{error(capsys, 'bitstream', 'ulx3s-85f', '-o', '/dev/null/a')}\n"
        == f"/dev/null/a/headrace.bit{said}"
    )
    assert measure.main(["--output", "/dev/null/a"]) == 2
    assert capsys.readouterr().err == f"measure: /dev/null/a{said}"


@pytest.mark.seconds(3)
@pytest.mark.parametrize(
    "args",
    [
        ["compile", "--model", "tiny", "-o", "{}/a.safetensors"],
        ["prune", "--model", "tiny", "--text", __file__, "--max-tokens", "2", "-o", "{}/a"],
    ],
)
def test_disk_that_gets_full(tmp_path, args):
    """Nothing is left behind, and one line says why. A limit on files' sizes stands for the
    disk.
    """

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

    done = subprocess.run(
        [sys.executable, "-m", "headrace.cli", *(arg.format(tmp_path) for arg in args)],
        cwd=ROOT,
        preexec_fn=limit,
        # Where coverage is measured, its own file would hit the limit.
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stderr.startswith(f"headrace: {tmp_path}"), done.stderr
    assert "cannot be written: " in done.stderr and "File too large" in done.stderr
    assert done.stderr.count("\n") == 1 and not list(tmp_path.iterdir())


def test_cache_that_cannot_be_written(model, capsys, tmp_path):
    """It is done without."""
    (tmp_path / "cache").write_text("")
    code, out, err = call(capsys, "run", "--model", model, "--prompt", "hello", "--tokens", 1)
    assert code == 0 and out.startswith("hello")
    assert err.startswith(
        f"(the image is not kept: {tmp_path}/cache: cannot be written: File exists; a file lies "
        "where a folder is needed: choose another place)\n"
    )
