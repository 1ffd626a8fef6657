"""`python -m sim.harness.runner`: what it refuses, and how."""

import pytest

from sim.harness import build as bench_build, runner


@pytest.mark.parametrize("unit", ["", "nope", "__init__", "../bench", "_private"])
def test_unknown_unit(capsys, unit):
    assert runner.main([unit]) == 2
    err = capsys.readouterr().err
    assert err.startswith("sim: Unit must be one of accumulate, activations, ") and err.endswith(f", not {unit!r}\n")
    assert err.count("\n") == 1


def test_unknown_case(capsys):
    assert runner.main(["queue", "--case", "nope"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("sim: Case of queue must be one of ") and err.endswith(", not 'nope'\n")


@pytest.mark.seconds(3)
def test_folder_that_cannot_be_written(capsys, monkeypatch, tmp_path):
    (tmp_path / "build").write_text("")
    (tmp_path / "sim" / "benches").mkdir(parents=True)
    (tmp_path / "sim" / "benches" / "queue.py").write_text("")
    monkeypatch.setattr(bench_build, "ROOT", tmp_path)
    assert runner.main(["queue"]) == 2
    first = next(iter(bench_build.cases("queue")))
    assert capsys.readouterr().err == (f"sim: {tmp_path}/build/benches/queue-{first}: cannot be written: Not a "
                                       "directory; a file lies where a folder is needed: choose another place\n")
