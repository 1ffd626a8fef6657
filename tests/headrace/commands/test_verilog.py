import re
import subprocess

import pytest

from headrace.cli import main
from rtl.spec import config as configs
from sim.tools import WARNINGS, environment, verilator


# All that has other widths on ports than the named ones, formats of files, and those of them that
# two products of a multiplier have room for.
OWN = {
    config.name: config
    for config in [
        configs.Config(
            name="odd",
            beat_bits=256,
            columns=3,
            lanes=8,
            core="lut",
            formats=("U1", "U3", "U4", "S8", "TERNARY", "S6"),
        ),
        configs.Config(
            name="files",
            beat_bits=128,
            columns=1,
            lanes=4,
            formats=("U4", "S8", "TERNARY", "U5", "S6", "FP4", "FP4_16"),
        ),
        configs.Config(
            name="books",
            beat_bits=256,
            columns=1,
            lanes=4,
            core="dspchain",
            formats=("S8", "FP4", "FP4_16"),
        ),
    ]
}
FAST = [
    "-CFLAGS",
    "-O0",
    "-MAKEFLAGS",
    "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0",
    "--build-jobs",
    "2",
]


def tool(*command, cwd):
    return subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True)


def simulated(folder, core):
    """What a core's testbench says."""
    sources = "testbench.sv", f"headrace_{core}.v"
    built = tool(verilator(), "--binary", *WARNINGS, *FAST, *sources, cwd=folder)
    assert built.returncode == 0, built.stderr
    return tool("obj_dir/Vtestbench", cwd=folder)


def test_files(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("rtl.verilog.emit", lambda config, path: path.write_text(config.name))
    assert main(["verilog", "--config", "wide", "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "headrace.v").read_text() == "wide"
    assert "## MATMUL" in (tmp_path / "out" / "isa.md").read_text()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "headrace.v",
        "isa.md",
        "registers.md",
    ]


@pytest.mark.seconds(15)
@pytest.mark.parametrize(
    "config, core",
    [("files", "systolic"), ("odd", "lut"), ("small", "dspchain"), ("books", "dspchain")],
)
def test_core_passes_its_testbench(tmp_path, monkeypatch, config, core):
    monkeypatch.setattr(configs, "CONFIGS", configs.CONFIGS | OWN)
    monkeypatch.setattr("host.configurations.CONFIGS", configs.CONFIGS)
    assert main(["verilog", "--core", core, "--config", config, "-o", str(tmp_path)]) == 0
    ran = simulated(tmp_path, core)
    assert ran.returncode == 0 and "PASS: 1000 steps" in ran.stdout, ran.stdout


@pytest.mark.seconds(1)
def test_core_is_explained(tmp_path, capsys):
    assert main(["verilog", "--core", "systolic", "--config", "small", "-o", str(tmp_path)]) == 0
    text, manual = ((tmp_path / name).read_text() for name in ("headrace_systolic.v", "README.md"))
    assert re.search(r"^// latency: +8 cycles$", text, re.M)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "README.md",
        "headrace_systolic.v",
        "testbench.sv",
    ]
    header = text.partition("module headrace_systolic(")[2].partition("endmodule")[0]
    ports = re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", header, re.M)
    explained = re.findall(r"^\| `(\w+)` \| (\d+) \| (input|output) \|", manual, re.M)
    actual = {(name, str(int(high or 0) + 1), way) for way, high, name in ports}
    assert (
        actual - {("clk", "1", "input"), ("rst", "1", "input")} == set(explained)
        and len(explained) == 10
    )


@pytest.mark.seconds(1)
def test_formats_of_files_are_explained(tmp_path):
    config = ["--config", "small", "--set", "formats=S8,U5,FP4_16"]
    assert main(["verilog", "--core", "systolic", *config, "-o", str(tmp_path)]) == 0
    manual = (tmp_path / "README.md").read_text()
    assert "| `weights_high` | 64 | input | bits of codes beyond four" in manual
    assert (
        "Codes of U5, FP4_16 come decoded, as signed integers; `high` is `weights_high`. FP4_16 "
        "has -12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12 alone.\n\n"
        "Groups of FP4_16 have 16 elements: row N + r of their sums is that of row r over" in manual
    )


@pytest.mark.seconds(10)
@pytest.mark.parametrize(
    "formats, right, wrong, row",
    [
        ("U4,S8", "- 15;", "- 13;", 0),
        ("S8,S6", "? 0 : 16;", "? 0 : 17;", 1),  # the sum of a row's upper half
    ],
)
def test_testbench_may_fail(tmp_path, formats, right, wrong, row):
    config = ["--config", "small", "--set", f"formats={formats}"]
    assert main(["verilog", "--core", "systolic", *config, "-o", str(tmp_path)]) == 0
    testbench = tmp_path / "testbench.sv"
    text = testbench.read_text()
    assert text.count(right) == 1
    testbench.write_text(text.replace(right, wrong))
    ran = simulated(tmp_path, "systolic")
    assert ran.returncode != 0 and re.search(
        rf"FAIL: payload \d+, row {row}, column 0: must be -?\d+, not", ran.stdout
    )


@pytest.mark.parametrize(
    "config, core, name",
    [
        ("small", "systolic", "small"),
        ("wide", "lut", "wide-lut"),
        ("small-lut", "systolic", "small-systolic"),
        ("small-lut", "lut", "small-lut"),
        ("small-dspchain", "lut", "small-lut"),
    ],
)
def test_core_of_a_configuration(tmp_path, capsys, monkeypatch, config, core, name):
    monkeypatch.setattr("rtl.verilog.emit_core", lambda core, path: path.write_text(""))
    monkeypatch.setattr("rtl.standalone.manual.manual", lambda core: "")
    monkeypatch.setattr("rtl.standalone.testbench.testbench", lambda core: "")
    seen = []
    monkeypatch.setattr("rtl.cores.standalone", lambda config: seen.append(config) or Fake(config))
    monkeypatch.setattr("rtl.standalone.core.Standalone", lambda core: core)
    assert main(["verilog", "--core", core, "--config", config, "-o", str(tmp_path)]) == 0
    assert f"(configuration {name}, digest " in capsys.readouterr().out
    assert (seen[0].core, seen[0].name) == (core, name)
    assert seen[0].formats == configs.get({"small-systolic": "small"}.get(name, name)).formats


class Fake:
    """Stands for a core where none is made."""

    def __init__(self, config):
        self.name = config.core


def test_core_unknown(tmp_path, capsys):
    assert main(["verilog", "--core", "lutt", "-o", str(tmp_path)]) == 2
    assert (
        capsys.readouterr().err
        == f"headrace: --core must be one of {', '.join(configs.CORES)}, not 'lutt'\n"
    )


def test_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["verilog", "-o", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err.endswith(
        "file: cannot be written: File exists; a file lies "
        "where a folder is needed: choose another place\n"
    )


def test_yosys_fails(tmp_path, capsys, monkeypatch):
    from amaranth.back.verilog import YosysError

    def emit(config, path):
        raise YosysError("Traceback (most recent call last):\n  ...\nWasmtimeError: File too large")

    monkeypatch.setattr("rtl.verilog.emit", emit)
    assert main(["verilog", "-o", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        "headrace: yosys failed: WasmtimeError: File too large; is there room for "
        "temporary files?\n"
    )
    assert not list(tmp_path.iterdir())


def test_a_core_of_parts_is_not_written(tmp_path, capsys):
    """Its manual and testbench would be wrong."""
    told = ["--config", "small", "--set", "beat_bits=64", "--core", "systolic"]
    assert main(["verilog", *told, "-o", str(tmp_path)]) == 2
    assert (
        "beat_bits of a linear core alone must be at least 128, not 64" in capsys.readouterr().err
    )
