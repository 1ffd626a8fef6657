"""`headrace profile`: where the cycles of a step go."""

import json
from collections import Counter
from xml.etree import ElementTree

import pytest

import headrace
from headrace.commands.profile import MEMORY, memory_table
from headrace.library import profiling
from headrace.library.profiling import Target, profile
from rtl.spec.config import get

from ..command import call, error
from ..test_shapes import written


WIDE = get("wide")
TINY = "profile", "--model", "tiny", "--config", "wide", "--context", "128", "--position", "100"
KEYS = {
    "cycles",
    "bytes_weights",
    "bytes_kv",
    "utilization",
    "ceiling",
    "estimated_cycles",
    "clock_mhz",
    "tokens_per_second",
    "units",
    "nodes",
    "cuts",
    "limit",
    "why",
}


@pytest.mark.parametrize(
    "args, message",
    [
        (["--position", "-1"], "--position must be at least 0, not -1"),
        (["--columns", "0"], "--columns must be at least 1, not 0"),
        (["--layers", "1"], "--layers must be at least 2, for two cuts, not 1"),
        (["--position", "x"], "argument --position: invalid int value: 'x'"),
        (["--shape", "no.json", "--model", "tiny"], "--shape: --model must be left out"),
        (["--shape", "no.json"], "no.json: "),
        (["--timeline", "no/t.json"], "no/t.json: its folder must exist"),
        (["--roofline", "/"], "/: must be a file to write, it is a folder"),
        (["--bandwidth", "/dev/null"], "/dev/null: must be a file to write"),
        (["--context", "0"], "context must be at least 1, not 0"),
        (["--config", "wild"], "the configuration must be one of"),
    ],
)
def test_refused(capsys, args, message):
    assert error(capsys, "profile", *args).startswith(message)


@pytest.mark.seconds(5)
@pytest.mark.parametrize(
    "args, message",
    [
        (["--columns", "5"], "columns must be at most the 4 of configuration 'wide', not 5"),
        (["--layers", "9"], "layers must be from 2 to 3, which tiny has, not 9"),
        (
            ["--position", "126", "--columns", "3"],
            "position and columns must end within the 128 positions that tiny is compiled for, "
            "not at 129",
        ),
    ],
)
def test_refused_by_the_model(capsys, args, message):
    assert error(capsys, *TINY, *args) == message


@pytest.mark.seconds(20)
def test_model(capsys, tmp_path):
    """One JSON object, whose figures add up; and pictures, and a timeline."""
    files = {name: tmp_path / name for name in ("roofline", "bandwidth", "timeline")}
    options = [word for name, path in files.items() for word in (f"--{name}", path)]
    code, out, _ = call(capsys, *TINY, "--json", *options)
    found = json.loads(out)
    assert code == 0 and KEYS <= {*found} and found["cuts"] == []
    assert sum(node["cycles"] for node in found["nodes"]) == found["cycles"]
    assert sum(node["share"] for node in found["nodes"]) == pytest.approx(1)
    linear = [node for node in found["nodes"] if node["unit"] == "linear"]
    assert sum(node["bytes"] for node in linear) == found["bytes_weights"]
    seconds = found["cycles"] / found["clock_mhz"] / 1e6
    assert found["tokens_per_second"] == pytest.approx(1 / seconds)
    moved = found["bytes_weights"] + found["bytes_kv"]
    assert found["utilization"] == pytest.approx(moved / seconds / WIDE.dram_peak)
    assert found["utilization"] < found["ceiling"] < 1
    for unit in found["units"].values():
        assert unit["busy"] == unit["working"] + unit["starved"] + unit["blocked"]
        assert min(unit.values()) >= 0 and unit["token"] <= unit["blocked"]
    for name in ("roofline", "bandwidth"):
        text = files[name].read_text()
        assert ElementTree.fromstring(text).tag.endswith("svg") and "tiny on wide" in text
        assert "nan" not in text
    busiest = max(linear, key=lambda node: node["busy"])["name"]
    assert busiest in files["roofline"].read_text()
    events = json.loads(files["timeline"].read_text())["traceEvents"]
    assert {"layer 0 / ffn / down", "layer 2 / ffn / down", "bandwidth, GB/s"} < {
        event["name"] for event in events
    }


@pytest.mark.seconds(20)
def test_table(capsys, tmp_path):
    """For people: nodes, units, memory, and a sentence. Figures of all layers say so."""
    picture = tmp_path / "t.svg"
    code, out, _ = call(capsys, *TINY, "--layers", "2", "--timeline", picture)
    assert ElementTree.fromstring(picture.read_text()).tag.endswith("svg")
    assert (
        "layer 1 / ffn / down: " in picture.read_text()
        and "layer 0 / ffn / down" not in picture.read_text()
    )
    lines = out.splitlines()
    assert code == 0 and lines[0] == "tiny on wide: a decode step at position 100"
    assert lines[1] == "(all layers, from the difference of 1 and 2)"
    heads = [line.split()[0] for line in lines if line]
    for head in ("Node,", "head", "Unit", "linear", "vector", "Memory"):
        assert head in heads
    assert lines[-1].startswith("Attention. LINEAR is idle while ATTENTION works in ")


def test_waits_that_there_are_none_of():
    """A DDR3 has no groups of banks to wait for: the memory's table says zero."""
    counts = Counter({("cycles",): 100, ("dram", "clocks"): 200, ("dram", "data"): 150})
    found = profiling._of(WIDE, counts + Counter(), None, 0, 1, ())
    assert found.dram["spacing"] == 0 and found.dram["data"] == 150
    assert memory_table(found).row_count == len(MEMORY)


@pytest.mark.seconds(20)
def test_shape(capsys, tmp_path):
    """Two cuts, and all layers: of a machine that no unit saturates, the same within a percent."""
    path = written(tmp_path / "s.json", layers=6, head_dim=64)
    both = []
    for more in ([], ["--layers", "4"]):
        options = ["--shape", path, "--config", "wide", "--position", "33", "--json", *more]
        code, out, _ = call(capsys, "profile", *options)
        assert code == 0
        both.append(json.loads(out))
    whole, cut = both
    assert cut["cuts"] == [2, 4] and whole["cuts"] == []
    for name in ("bytes_weights", "bytes_kv"):
        assert cut[name] == whole[name]
    assert cut["cycles"] == pytest.approx(whole["cycles"], rel=0.01)
    assert sum(node["cycles"] for node in cut["nodes"]) == cut["cycles"]
    assert cut["estimated_cycles"] == pytest.approx(whole["estimated_cycles"], rel=0.01)


@pytest.mark.seconds(20)
def test_library():
    """A prefill step, from Python."""
    with headrace.load("tiny").on(headrace.machine("wide"), context=128) as runner:
        found = runner.profile(position=100, columns=4)
    assert found.columns == 4 and found.cuts == []
    assert found.tokens_per_second == pytest.approx(4 * 300e6 / found.cycles)
    assert "head" not in {node["name"] for node in found.nodes}
    assert {"cycles", "limit"} < {*found.figures} and "recording" not in found.figures


def test_library_refuses_other_devices():
    with headrace.load("tiny").on(headrace.machine("wide"), device="model") as runner:
        with pytest.raises(headrace.Error, match="^profile needs device sim, not model$"):
            runner.profile()


def test_extrapolation(monkeypatch):
    """From two cuts; what is less with fewer layers ends at zero, and nodes still add up."""
    per_layer = {("node", "linear", "q", "cycles"): 7, ("unit", "load", "token"): -5}
    fixed = {("node", "sequencer", "program", "cycles"): 11, ("unit", "load", "token"): 20}

    def run(layers):
        found = {
            key: fixed.get(key, 0) + layers * per_layer.get(key, 0) for key in {*fixed, *per_layer}
        }
        return found | {("cycles",): 11 + 7 * layers}

    found = profiling._extrapolated(run(4), run(2), [2, 4], 10)
    assert found["cycles",] == 81 and found["unit", "load", "token"] == 0
    assert found["node", "linear", "q", "cycles"] == 70
    assert found["node", "sequencer", "program", "cycles"] == 11


def test_counters_are_built_for_a_profile(monkeypatch):
    """Of a machine that has none, too: they cost no cycle, and change no image."""
    small, machines = get("small"), []
    assert not small.counters

    def run(target, machine, *_):
        machines.append(machine)
        raise KeyboardInterrupt

    monkeypatch.setattr(profiling, "_run", run)
    with pytest.raises(KeyboardInterrupt):
        profile(Target(name="x", machine=small, layers=2, image=lambda n: None))
    assert machines[0].counters and machines[0].digest == small.digest
