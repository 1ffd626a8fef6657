import json
import sys

import pytest

from host.errors import UserError
from rtl.spec.config import get
from sim import measure


RUN = {
    "prompt_ids": [1] * 5,
    "cycles": [9_000_000, 1_000_000, 1_500_000, 1_250_000],
    "token_seconds": [30.0, 2.0, 3.0, 5.0],
    "utilization": 0.9,
}


@pytest.fixture
def commands(monkeypatch, tmp_path):
    """Every command is one that printed `RUN`, after 50 seconds."""
    (tmp_path / "wide.safetensors").write_bytes(bytes(640))
    monkeypatch.setattr(measure, "command", lambda *args: measure.Done(RUN, 50.0, 512.0))
    monkeypatch.setattr(
        measure, "accelerator_library", lambda config, progress: progress("compiling")
    )


def test_figures(commands, tmp_path):
    figures = measure.measure(get("wide"), tmp_path)
    assert figures["wide_decode_cycles_per_token"] == 1_250_000
    assert figures["wide_decode_position_tokens"] == 6
    assert figures["wide_utilization_percent"] == pytest.approx(90)
    assert figures["wide_clock_tokens_per_second"] == 240
    assert figures["wide_simulation_cycles_per_second"] == 500_000
    assert figures["wide_simulation_host_seconds_per_token"] == 3
    assert figures["wide_simulation_first_token_seconds"] == 40
    assert (
        figures["wide_image_bytes"] == 640 and figures["wide_compile_peak_memory_megabytes"] == 512
    )
    assert figures["wide_simulation_build_seconds"] >= 0
    for name in figures:
        assert name.endswith(measure.UNITS), f"{name} must end in its unit"


def test_no_build_no_figure(commands, tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "accelerator_library", lambda config, progress: None)
    assert "wide_simulation_build_seconds" not in measure.measure(get("wide"), tmp_path)


def test_written_whole(commands, tmp_path, monkeypatch, capsys):
    target = tmp_path / "build" / "bench.json"
    monkeypatch.setattr(measure, "compiled", lambda config, image: {"image_bytes": 7})
    monkeypatch.setattr(sys, "argv", ["measure", "--output", str(target)])
    assert measure.main() == 0
    figures = json.loads(target.read_text())
    assert figures["small_image_bytes"] == figures["wide_image_bytes"] == 7
    assert all(isinstance(x, (int, float)) for x in figures.values())
    assert "decode cycles per token" in capsys.readouterr().out


def test_a_command_that_fails():
    with pytest.raises(UserError, match="^headrace compile failed with exit code 2$"):
        measure.command("compile", "--model", "none.gguf", "-o", "x.safetensors")
