# amaranth: UnusedElaboratable=no

import json

import pytest

from boards import flow
from boards.board import get
from boards.flow import build, check_tools
from boards.report import RESOURCES
from host.errors import UserError


BOARD = get("ulx3s-85f")
ROUTED = {
    "fmax": {"$glbnet$clk": {"achieved": 90.0, "constraint": 80.0}},
    "critical_paths": [],
    "utilization": {cell: {"used": 1, "available": 2} for cell in RESOURCES.values()},
}
# What each tool leaves behind.
WORKS = {
    "YOSYS": "cp headrace.ys used.ys; echo {} > headrace.json",
    "NEXTPNR_ECP5": "echo \"$@\" > arguments; touch headrace.config; "
    f"echo '{json.dumps(ROUTED)}' > nextpnr.json",
    "ECPPACK": "echo bits > headrace.bit",
}


@pytest.fixture
def fake(fake):
    """Replaces tools, at first by ones that work."""
    for variable, script in WORKS.items():
        fake(variable, script)
    return fake


def bare(folder, **options):
    return build(BOARD, folder, machine=False, **options)


@pytest.mark.seconds(3)
def test_build(tmp_path, fake):
    steps, folder = [], tmp_path / "new" / "build"
    report = bare(folder, seed=7, step=steps.append)
    assert steps == ["elaboration", "synthesis", "place and route", "packing"]
    assert (tmp_path / "calls").read_text().split() == ["YOSYS", "NEXTPNR_ECP5", "ECPPACK"]
    assert json.loads((folder / "report.json").read_text()) == report
    assert (
        report["fmax_mhz"] == {"clk": 90.0}
        and report["bitstream_bytes"] == 5
        and set(report["seconds"]) == set(steps)
    )
    words = (folder / "arguments").read_text().split()
    assert words[words.index("--seed") + 1] == "7" == str(report["seed"])
    assert "--85k" in words and "CABGA381" in words and "--timing-allow-fail" in words
    assert not (folder / "headrace.json").exists() and (folder / "litedram_core.v").exists()


@pytest.mark.seconds(3)
def test_nothing_is_done_twice(tmp_path, fake):
    def calls():
        return len((tmp_path / "calls").read_text().split())

    first = bare(tmp_path / "build")
    assert bare(tmp_path / "build") == first and calls() == 3
    # Another seed is another bitstream, and so is what another tool makes.
    assert bare(tmp_path / "build", seed=5)["digest"] != first["digest"] and calls() == 6
    (tmp_path / "build" / "headrace.bit").unlink()
    bare(tmp_path / "build", seed=5)
    assert calls() == 9
    fake("ECPPACK", WORKS["ECPPACK"] + "; true")
    bare(tmp_path / "build", seed=5)
    assert calls() == 12


@pytest.mark.seconds(3)
def test_what_fails_leaves_no_report(tmp_path, fake):
    bare(tmp_path / "build")
    fake(
        "NEXTPNR_ECP5",
        "echo Info: placing; echo 'ERROR: Unable to place cell'; echo 1 error; exit 1",
    )
    with pytest.raises(
        UserError, match="^nextpnr-ecp5 failed with exit code 1: Unable to place cell$"
    ):
        bare(tmp_path / "build")
    assert not (tmp_path / "build" / "report.json").exists()


@pytest.mark.seconds(3)
def test_what_does_not_end_is_stopped(tmp_path, fake, monkeypatch):
    monkeypatch.setitem(flow.LIMITS, "nextpnr-ecp5", 1.5)
    fake("NEXTPNR_ECP5", "exec sleep 600")
    with pytest.raises(
        UserError,
        match=r"^nextpnr-ecp5 did not end in 0\.025 minutes, as with a placement that cannot "
        r"be routed; try another seed, `make bitstream BOARD=\.\.\. SEED=n`$",
    ):
        bare(tmp_path / "build")
    assert (tmp_path / "calls").read_text().split() == ["YOSYS", "NEXTPNR_ECP5"]
    assert not (tmp_path / "build" / "report.json").exists()


@pytest.mark.seconds(3)
def test_yosys_fails(tmp_path, fake):
    fake("YOSYS", "echo 'ERROR: no such module'; exit 3")
    with pytest.raises(UserError, match="^yosys failed with exit code 3: no such module$"):
        bare(tmp_path / "build")
    assert (tmp_path / "calls").read_text().split() == ["YOSYS"]


@pytest.mark.seconds(3)
def test_names_are_left_out_where_they_are_too_much(tmp_path, fake):
    fake("YOSYS", "grep -q 'rename -hide' headrace.ys || exit 1\n" + WORKS["YOSYS"])
    bare(tmp_path / "build")
    lines = [line.strip() for line in (tmp_path / "build" / "used.ys").read_text().splitlines()]
    at = lines.index("rename -hide")
    assert lines[at - 1] == "flatten" and any(line.startswith("synth_ecp5") for line in lines[at:])
    fake("YOSYS", "exit 1")
    with pytest.raises(UserError, match="^yosys failed with exit code 1: it said nothing$"):
        bare(tmp_path / "other")


@pytest.mark.parametrize("variable", flow.TOOLS.values(), ids=flow.TOOLS)
def test_tool_missing(monkeypatch, fake, variable):
    check_tools()
    monkeypatch.setenv(variable[0], "/nowhere/tool")
    with pytest.raises(
        UserError,
        match=r"^synthesis needs /nowhere/tool, which is not installed; run `make "
        r"install FOR=boards`, or pip install 'headrace\[boards,synth\]', or name a "
        f"program in {variable[0]}$",
    ):
        check_tools()
