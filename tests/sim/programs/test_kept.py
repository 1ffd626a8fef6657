"""Programs that failed are kept in files, from which they can be run again."""

import json
from random import Random

import numpy as np
import pytest

from headrace.cli import main
from rtl.spec.config import get
from sim.programs import trials
from sim.programs.compare import Difference
from sim.programs.generator import generate
from sim.programs.kept import keep, kept
from sim.programs.world import World

from .wrong import Wrong, clamps


CONFIG = get("small")


@pytest.mark.seconds(4)
def test_the_same_program(tmp_path):
    """It computes the same from the part of DRAM that the file has."""
    world = World(CONFIG, Random(5))
    for n in range(12):
        program, path = generate(world, Random(n)), tmp_path / f"{n}" / "program.json"
        keep(path, world, program, "why not")
        found, machines = kept(path), []
        assert found.program == program and found.why == "why not" and found.config == CONFIG
        for where in world, found:
            pair = Wrong(CONFIG)
            try:
                pair.compare(where, program)
            except Difference:
                assert clamps(program)
            machines.append(pair.machine)
        one, other = machines
        assert np.array_equal(one.vector.view(np.uint32), other.vector.view(np.uint32))
        assert np.array_equal(one.act, other.act) and one.best == other.best
        first, end = (unit * 64 for unit in world.cache)
        written = one.memory[first:end] != world.memory[first:end]
        assert np.array_equal(one.memory[first:end][written], other.memory[first:end][written])
        assert json.loads(path.read_text())["insns"][0].startswith(str(program.insns[0])[:4])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(trials, "Pair", Wrong)
    monkeypatch.setattr(trials, "SHOWN", 1)
    monkeypatch.setattr(trials, "ROOT", tmp_path)
    monkeypatch.setattr(trials, "FOLDER", tmp_path / "build" / "random")
    return tmp_path / "build" / "random"


@pytest.mark.seconds(6)
def test_what_fails_is_shown_and_kept(folder, capsys):
    assert main(["random", "-n", "12", "--seed", "7"]) == 1
    said = capsys.readouterr().out.splitlines()
    failures = [line for line in said if line.endswith("of seed 7: CLAMP is wrong")]
    assert (
        said[-1] == f"{12 - len(failures)} passed, {len(failures)} failed"
        and len(failures) > trials.SHOWN
    )
    files = sorted(folder.iterdir())
    assert len(files) == trials.SHOWN and all(clamps(kept(path).program) for path in files)
    assert any(line.startswith("    vector func=") for line in said)
    assert main(["random", "--again", str(files[0])]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"{files[0]}: CLAMP is wrong",
        "0 passed, 1 failed",
    ]


def test_what_passes(folder, capsys):
    seed = next(
        seed
        for seed in range(1, 100)
        for _, _, program in trials.programs(CONFIG, seed, 1)
        if not clamps(program)
    )
    assert main(["random", "-n", "1", "--seed", str(seed)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "1 passed, 0 failed" and said[0].startswith("instructions")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"units": 1, "memory": [], "insns": ["zz"]}',
        '{"units": 1, "memory": [], "insns": ["load here=1"]}',
    ],
)
def test_file_that_is_none(tmp_path, text, capsys):
    path = tmp_path / "program.json"
    path.write_text(text)
    assert main(["random", "--again", str(path)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"headrace: {path}: expected a program that `make random` kept, found something else"
    ]


def test_numbers_of_programs(capsys):
    assert main(["random", "-n", "0"]) == 2
    assert capsys.readouterr().err.splitlines() == ["headrace: -n must be at least 1, not 0"]
