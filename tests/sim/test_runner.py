"""`python -m sim.harness.runner`: what it refuses, and how."""

import os

import pytest

from sim.harness import build as bench_build, runner


@pytest.mark.parametrize("unit", ["", "nope", "__init__", "../bench", "_private"])
def test_unknown_unit(capsys, unit):
    assert runner.main([unit]) == 2
    err = capsys.readouterr().err
    assert err.startswith("sim: Unit must be one of accumulate, activations, ") and err.endswith(
        f", not {unit!r}\n"
    )
    assert err.count("\n") == 1


def test_unknown_case(capsys):
    assert runner.main(["queue", "--case", "nope"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("sim: Case of queue must be one of ") and err.endswith(", not 'nope'\n")


@pytest.mark.seconds(3)
def test_folder_that_cannot_be_written(capsys, monkeypatch, tmp_path):
    (tmp_path / "build").write_text("")
    folder = tmp_path / "sim" / "benches" / "control"
    folder.mkdir(parents=True)
    (folder / "queue.py").write_text("")
    monkeypatch.setattr(bench_build, "ROOT", tmp_path)
    assert runner.main(["queue"]) == 2
    first = next(iter(bench_build.cases("queue")))
    assert capsys.readouterr().err == (
        f"sim: {tmp_path}/build/benches/queue-{first}: cannot be written: Not a "
        "directory; a file lies where a folder is needed: choose another place\n"
    )


@pytest.mark.seconds(5)
@pytest.mark.parametrize("disturbed, begin", [(True, 2), (False, 0)])
def test_what_registers_begin_with(monkeypatch, tmp_path, disturbed, begin):
    """Random values, but not where toggles are counted: a bit would move that no test moves."""
    given = []
    monkeypatch.setattr(
        runner.Runner, "test", lambda self, **arguments: given.append((arguments, {**os.environ}))
    )
    monkeypatch.setattr(runner, "get_results", lambda results: (1, 0))
    monkeypatch.setenv("UNIT", "all")  # as `make mutate UNIT=all` leaves it
    monkeypatch.setattr(runner, "unasked", lambda unit, asked: [])
    built = bench_build.Build("skid", "bit", tmp_path, ("i__payload",))
    assert runner.simulate(built, disturbed=disturbed) == 1
    ((arguments, environment),) = given
    assert f"+verilator+rand+reset+{begin}" in arguments["plusargs"]
    assert (environment["UNIT"], environment["DISTURBED"]) == ("skid", str(int(disturbed)))
    assert os.environ["UNIT"] == "all" and "DISTURBED" not in os.environ
