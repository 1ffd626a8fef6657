import json
import re
from dataclasses import replace

import pytest

import headrace.devices
from boards import synthesis
from boards.synthesis import Area, Routed
from headrace.cli import main
from headrace.library import images
from headrace.studies import cores
from rtl.spec.config import CORES
from sim.functional import ModelDevice
from tests.mapper import synthetic


class Counting(ModelDevice):
    """The functional model, which takes more cycles a token with another core."""

    seen = []

    def __init__(self, config, build_progress=None):
        super().__init__(config)
        Counting.seen.append(config)

    def step(self, tokens, position, head):
        cycles = 10_000 if self.config.core == "systolic" else 20_000
        return replace(super().step(tokens, position, head), cycles=cycles)


@pytest.fixture
def compare(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(images, "cache", lambda: tmp_path / "cache")
    monkeypatch.setitem(
        headrace.devices.DEVICES, "sim", "tests.headrace.commands.test_compare_cores:Counting"
    )
    monkeypatch.setattr(
        cores,
        "synthesize",
        lambda text, family: Area(
            family=family, lut=1234, ff=567, dsp=32, bram=1, cells={}, seconds=0.0
        ),
    )
    monkeypatch.setattr(cores, "place_and_route", lambda text: Routed(fmax=98.7, seconds=0.0))
    monkeypatch.setattr(synthesis, "check_tools", lambda route: None)
    monkeypatch.setattr(Counting, "seen", [])
    model = synthetic.write(
        tmp_path / "tiny.gguf", kinds={"token_embd.weight": synthetic.Type.Q8_0}
    )

    def call(*args):
        code = main(["compare-cores", "--model", str(model), "--prompt", "hello", *args])
        return code, *capsys.readouterr()

    return call


@pytest.mark.seconds(2)
def test_json(compare):
    code, out, _ = compare("--json")
    result = json.loads(out)
    assert code == 0 and result["config"] == "small" and result["formats"] == ["S8", "U4"]
    assert [row["core"] for row in result["rows"]] == list(CORES)
    first, *others = result["rows"]
    assert first["core"] == "systolic" and first["cycles_per_token"] == 10_000 and others
    for row in others:
        assert row["cycles_per_token"] == 20_000
        assert first["utilization"] == pytest.approx(2 * row["utilization"])
        assert first["token_ids"] == row["token_ids"]
    assert {row["peak_macs"] for row in result["rows"]} == {32}
    for row in result["rows"]:
        assert row["core_ecp5"] == {"lut": 1234, "ff": 567, "dsp": 32, "bram": 1, "fmax": 98.7}
        assert "fmax" not in row["core_xcup"] and row["formats"] == ["U4", "S8"]
    assert [config.core for config in Counting.seen] == list(CORES)


@pytest.mark.seconds(2)
def test_table(compare):
    code, out, _ = compare("--no-route", "--cores", "lut,systolic")
    assert code == 0 and "98" not in out and "MHz" not in out
    lines = [line for line in out.splitlines() if re.match(r" *\w* +(core|pipeline) ", line)]
    assert [line.split()[0] for line in lines] == ["lut", "pipeline", "systolic", "pipeline"]
    assert "20,000" in lines[0] and "10,000" in lines[2] and all("1,234" in line for line in lines)


@pytest.mark.seconds(2)
def test_without_running(compare):
    code, out, _ = compare("--no-run", "--json", "--formats", "TERNARY", "--cores", "lut")
    (row,) = json.loads(out)["rows"]
    assert code == 0 and not Counting.seen and "cycles_per_token" not in row
    assert set(row["formats"]) == {"S8", "TERNARY"} and row["core_ecp5"]["fmax"] == 98.7


@pytest.mark.seconds(2)
def test_core_lacks_a_format(compare):
    _, out, _ = compare("--no-run", "--json", "--formats", "U1,S8")
    rows = {row["core"]: row for row in json.loads(out)["rows"]}
    assert rows["systolic"] == {"core": "systolic", "lacks": ["U1"]}
    assert "lacks" not in rows["lut"]
    assert "does not take U1" in compare("--no-run", "--formats", "U1,S8")[1]


@pytest.mark.parametrize(
    "args, message",
    [
        (["--cores", "lut,gpu"], f"--cores must be of {', '.join(CORES)}, not 'gpu'"),
        (
            ["--formats", "U6"],
            "--formats must be of U4, S8, TERNARY, U5, S6, FP4, FP4_16, SPARSE4, SPARSE8, IQ4, U1, "
            "U2, U3, not 'U6'",
        ),
        (["--tokens", "0"], "--tokens must be at least 1, not 0"),
    ],
)
def test_wrong(compare, args, message):
    assert compare(*args) == (2, "", f"headrace: {message}\n")


def test_formats_that_the_model_needs_are_missing(compare):
    code, out, err = compare("--formats", "S8")
    assert (code, out) == (
        2,
        "",
    ) and "--formats: the image has weights in the format U4, but configuration" in err


def test_tool_missing(compare, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("YOSYS", "/nowhere/yosys")
    code, out, err = compare()
    assert (code, out) == (2, "") and err.startswith(
        "headrace: synthesis needs /nowhere/yosys, which is not installed"
    )
