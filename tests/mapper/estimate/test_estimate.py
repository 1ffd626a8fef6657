"""The estimate beside RTL, and what a wrong latency makes of it."""

import sys
from copy import copy

import pytest

from mapper.compile import compile_model
from mapper.estimate import estimate
from mapper.estimate.hardware import hardware
from mapper.estimate.layers import first_rounds, rounds
from mapper.estimate.program import dispatched
from mapper.read.find import load
from rtl.spec.config import CONFIGS
from sim.fpga.device import SimDevice
from sim.models.toy import toy_model


BOUND = 0.05
CONTEXT = 256
STEPS = [(0, 1, True), (40, 1, False), (200, 4, True)]  # position, columns, head


@pytest.fixture(scope="module")
def images():
    return {name: compile_model(load("tiny"), CONFIGS[name], CONTEXT) for name in ("small", "wide")}


def ran(config, image, steps):
    """Cycles of steps on RTL."""
    with SimDevice(config) as device:
        device.load(image)
        for position, columns, head in steps:
            columns = min(columns, config.columns)
            tokens = list(range(8, 8 + columns))
            yield position, columns, head, device.step(tokens, position, head).cycles


@pytest.mark.seconds(60)
@pytest.mark.parametrize("name", ["small", "wide"])
def test_cycles(name, images):
    """Within the bound; and none of it without the latency of the vector unit's results, or of the
    linear pipeline.
    """
    config, image, missed = CONFIGS[name], images[name], []
    for position, columns, head, cycles in ran(config, image, STEPS):
        about = {"position": position, "columns": columns, "head": head}
        assert abs(estimate(image, config, **about).cycles / cycles - 1) < BOUND
        wrong = copy(hardware(config))
        wrong.result, wrong.pipeline = 200, 400
        missed.append(estimate(image, config, **about, hardware=wrong).cycles / cycles - 1 > BOUND)
    assert all(missed)


def test_nodes(images):
    """Units' cycles are those of their nodes, and none is busy for longer than the step."""
    for name, image in images.items():
        found = estimate(image, CONFIGS[name], position=100)
        for unit, busy in found.busy.items():
            assert sum(its.cycles for its in found.nodes if its.unit == unit) >= 0.99 * busy
            assert 0 < busy < found.cycles
        assert found.bytes_weights == image.weight_bytes
        assert found.bytes_kv > 0
        assert any(its.node == "layer / ffn / down" for its in found.nodes)


def test_position(images):
    """Keys and values of each position more are read, and take their time."""
    image, config = images["small"], CONFIGS["small"]
    near, far = (estimate(image, config, position=position) for position in (0, CONTEXT - 1))
    assert far.bytes_kv - near.bytes_kv > 10 * near.bytes_kv
    assert far.cycles > near.cycles
    assert far.bytes_weights == near.bytes_weights


@pytest.mark.seconds(5)
def test_layers(monkeypatch):
    """Of many layers the first few are followed: what all take differs by less than a hundredth."""
    config = CONFIGS["wide"]
    image = compile_model(
        toy_model(hidden=256, heads=4, kv_heads=2, ffn=512, layers=12), config, 64
    )
    latencies = hardware(config)
    program = dispatched(image, config, latencies, [8], 3, True)
    layers = rounds(program)
    assert len(layers) == 11  # the first begins with what comes before the loop
    assert len(first_rounds(program, layers, 2)) == len(program) - 9 * len(layers[0])
    found = estimate(image, config, position=3)
    monkeypatch.setattr(sys.modules[estimate.__module__], "KEPT", 100)
    assert found.cycles == pytest.approx(estimate(image, config, position=3).cycles, rel=0.01)
