"""The command, and what it writes."""

import re
from pathlib import Path

import pytest

from boards import export
from boards.export import write as writing
from boards.export.targets import TARGETS, Target, get
from boards.synthesis import Area
from headrace.cli import main
from rtl.spec import config as configs


@pytest.fixture(autouse=True)
def verilog(monkeypatch):
    monkeypatch.setattr(writing, "kernel_verilog", lambda config: f"// {config.name}\n")


@pytest.mark.parametrize("name", TARGETS)
def test_files(tmp_path, capsys, name):
    assert main(["export", name, "-o", str(tmp_path / "out")]) == 0
    folder, target = tmp_path / "out", get(name)
    templates, copies = writing.FILES[target.flow]
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*templates, *copies.values(), "headrace.v"]
    )
    assert (folder / "headrace.v").read_text() == f"// {target.config}\n"
    for source, copy in copies.items():
        assert (folder / copy).read_text() == (Path(export.__file__).parent / source).read_text()
    out, readme = capsys.readouterr().out, (folder / "README.md").read_text()
    assert f"(configuration {target.config}, digest {configs.get(target.config).digest[:8]})" in out
    # All files are explained, and nothing claims to have run.
    assert all(
        f"`{name}`" in readme
        for name in (*templates, *copies.values(), "headrace.v")
        if name != "README.md"
    )
    assert "Nobody has run this" in readme
    for path in folder.iterdir():
        assert "{{" not in path.read_text() and "{%" not in path.read_text()


def test_configuration(tmp_path):
    assert main(["export", "kv260", "--config", "small", "-o", str(tmp_path)]) == 0
    assert "configuration small" in (tmp_path / "package_ip.tcl").read_text()


def test_boards_are_listed(capsys):
    assert main(["export"]) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^{name} ", out, re.M) for name in TARGETS)


@pytest.mark.parametrize(
    "args, message",
    [
        (["kv270"], "BOARD must be one of kv260, zcu104, u280, not 'kv270'"),
        (["kv260", "--config", "huge"], "the configuration must be one of small, wide, "),
    ],
)
def test_names_wrong(capsys, args, message):
    assert main(["export", *args]) == 2
    assert capsys.readouterr().err.startswith(f"headrace: {message}")


def test_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["export", "kv260", "-o", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.endswith(
        "file: cannot be written: File exists; a file lies "
        "where a folder is needed: choose another place\n"
    )


def test_flow_wrong():
    with pytest.raises(ValueError, match="^Flow must be 'zynq' or 'xrt', not 'vitis'$"):
        Target(**{**vars(get("kv260")), "flow": "vitis"})


@pytest.mark.parametrize(
    "name, config, bandwidth",
    [
        ("kv260", "small", 3.2e9),
        ("kv260", "wide", 3.2e9),
        ("u280", "wide", 14.4e9),
        ("u280", "small", 4.8e9),
    ],
)
def test_bandwidth(name, config, bandwidth):
    """What is narrowest: the accelerator, the port, or the memory."""
    assert get(name).bandwidth(configs.get(config)) == pytest.approx(bandwidth)


def test_shares():
    area = Area(family="xcup", lut=58_560, ff=0, dsp=1_248, bram=72, cells={}, seconds=0)
    assert get("kv260").shares(area) == {"lut": 0.5, "ff": 0, "dsp": 1, "bram": 0.25}
