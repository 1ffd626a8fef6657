"""Random models give the same on the accelerator and on the functional machine."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from headrace.cli import main
from mapper.families import FAMILIES
from rtl.spec.config import UNIT_BYTES
from sim.fpga.adverse import adverse
from sim.functional import ModelDevice
from sim.models.case import Case, Step
from sim.models.compare import Pair
from sim.models.configs import CONFIGS
from sim.models.coverage import Coverage
from sim.models.shape import Shape
from sim.models.shrink import shrink
from sim.models.trials import cases
from sim.programs.compare import Difference


COUNTS = {"small": 8, "wide": 4}
SMALL = CONFIGS["small"]


@pytest.mark.seconds(30)
@pytest.mark.parametrize("name", COUNTS)
def test_same(name):
    config, pair, coverage = CONFIGS[name], Pair(CONFIGS[name]), Coverage([CONFIGS[name]])
    for n, case, image in cases(config, 1, range(COUNTS[name])):
        try:
            pair.compare(case, image)
        except Difference as difference:
            raise AssertionError(f"model {n} of {name}: {difference}") from difference
        coverage.ran(config, case)
    assert coverage.share > 0.4, coverage.missing


def test_configurations():
    """Eight of them have every core, and every parameter has several values."""
    configs = CONFIGS.values()
    assert len(configs) == 8 and len({config.digest for config in configs}) == 8
    for name, values in {
        "core": 3,
        "beat_bits": 3,
        "columns": 5,
        "lanes": 4,
        "queries": 5,
        "head_dim": 3,
        "vector_words": 3,
        "act_groups": 3,
        "prefetch_beats": 5,
        "formats": 3,
    }.items():
        assert len({getattr(config, name) for config in configs}) >= values, name


@pytest.mark.seconds(9)
@pytest.mark.parametrize("name", ["odd", "models-lut"])
def test_drawn(name):
    """Each number has a case of its own, always the same, that the configuration takes."""
    config, seen = CONFIGS[name], []
    for (n, case, image), (_, again, _) in zip(*(cases(config, 3, range(6)) for _ in range(2))):
        assert case == again and case not in seen
        seen.append(case)
        assert (
            image.digest == config.digest and len(image.memory) == UNIT_BYTES * image.memory_units
        )
        assert case.steps
        for step in case.steps:
            assert 1 <= len(step.tokens) <= config.columns
            assert 0 <= step.position <= case.shape.context - len(step.tokens)
            assert max(step.tokens) < case.shape.vocab
        model = ModelDevice(config)
        model.load(image)
        model.step(*vars(case.steps[0]).values())


@pytest.mark.parametrize(
    "position, count, crosses",
    [(0, 1, False), (30, 2, False), (31, 2, True), (32, 1, True), (32, 4, True), (33, 1, False)],
)
def test_crosses(position, count, crosses):
    assert Step((1,) * count, position, True).crosses == crosses


class Wrong(ModelDevice):
    """In place of the accelerator, with a bug in step 1."""

    def __init__(self, bug):
        super().__init__(SMALL)
        self.bug, self.count = bug, 0

    memory = property(lambda self: self.machine.memory)

    def vector(self):
        return self.machine.vector

    def step(self, tokens, position, head):
        step, self.count = super().step(tokens, position, head), self.count + 1
        return step if self.count < 2 else self.bug(self, step)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def flipped(array, at):
    array.view(np.uint8)[at] ^= 1


def in_cache(device, step):
    flipped(
        device.memory,
        UNIT_BYTES * device.image.writable[0] + UNIT_BYTES * (SMALL.kv_block_units + 2),
    )
    return step


def in_weights(device, step):
    flipped(device.memory, UNIT_BYTES * 5)
    return step


def in_vector(device, step):
    flipped(device.machine.vector, 4 * 9)
    return step


def id_of(device, step):
    ids = step.ids.copy()
    ids[3] += 4
    return replace(step, ids=ids)


def last_bit(device, step):
    logits = step.logits.copy()
    flipped(logits, 4 * 7)
    return replace(step, logits=logits)


def short(device, step):
    return replace(step, ids=step.ids[:-1], logits=step.logits[:-1])


def example():
    """A case that no bug is lost on, and its image."""
    shape = Shape(
        hidden=64,
        heads=4,
        kv_heads=2,
        ffn=192,
        vocab=80,
        layers=3,
        context=70,
        tied=False,
        formats=tuple((name, "U4") for name in FAMILIES["llama"].linears),
        extremes=True,
        seed=1,
    )
    steps = tuple(Step((n,), 30 + n, True) for n in range(3))
    return Case(shape, steps, adverse(Random(1))), shape.image(SMALL)


@pytest.mark.parametrize(
    "bug, said",
    [
        (in_cache, "DRAM differs in 1 bytes, from unit 2 of block 1 of the KV cache on"),
        (in_weights, "DRAM differs in 1 bytes, from unit 5, which nothing may write on"),
        (in_vector, "the vector memory differs in 1 words, from 9 on"),
        (id_of, "the best logits' ids differ: number 3 is "),
        (last_bit, "the best logits' values differ: number 7 is "),
        (short, "63 best ids instead of 64"),
    ],
)
def test_difference(bug, said, monkeypatch):
    """Whatever one bit differs in is found, and said to be in that step."""
    monkeypatch.setattr("sim.models.compare.accelerator_library", lambda *_, **__: None)
    pair, (case, image) = Pair(SMALL), example()
    pair.device = lambda dram: Wrong(lambda device, step: step)
    pair.compare(case, image)
    pair.device = lambda dram: Wrong(bug)
    with pytest.raises(Difference) as caught:
        pair.compare(case, image)
    assert str(caught.value).startswith(f"step 1, 1 tokens at position 31: {said}")


class Fails:
    """A pair that differs with two layers, 96 feed-forward rows or more, and a step that crosses a
    block.
    """

    config = SMALL

    def compare(self, case, image):
        if (
            case.shape.layers >= 2
            and case.shape.ffn >= 128
            and any(step.crosses for step in case.steps)
        ):
            raise Difference("wrong")


@pytest.mark.seconds(4)
def test_shrink():
    """A difference is shown on the smallest model that has what it takes."""
    small, found = shrink(Fails(), example()[0])
    assert str(found) == "wrong"
    assert small.shape.layers == 2 and small.shape.ffn == 128
    assert (small.shape.hidden, small.shape.heads, small.shape.kv_heads, small.shape.vocab) == (
        32,
        1,
        1,
        1,
    )
    assert len(small.steps) == 1 and small.steps[0].crosses and not small.dram.stall


@pytest.mark.seconds(5)
def test_command(capsys, monkeypatch):
    assert main(["random", "--models", "-n", "2", "--seed", "4", "--config", "small"]) == 0
    assert capsys.readouterr().out.endswith("\n2 passed, 0 failed\n")

    def compare(*_):
        raise Difference("wrong")

    monkeypatch.setattr(Pair, "compare", compare)
    monkeypatch.setattr(
        "sim.models.trials.shrink", lambda pair, case: (example()[0], Difference("as wrong"))
    )
    assert main(["random", "--models", "-n", "2", "--seed", "4", "--config", "small"]) == 1
    said = capsys.readouterr().out
    assert "model 1 of small, seed 4: wrong\n    hidden=" in said
    assert "    smallest: as wrong\n    hidden=64 heads=4 " in said and said.endswith(
        "\n0 passed, 2 failed\n"
    )


def test_command_refuses(capsys):
    assert main(["random", "--models", "-n", "0"]) == 2
    assert capsys.readouterr().err == "headrace: -n must be at least 1, not 0\n"
