"""Counts of a step: what they add up to, and what is known about it in other ways."""

from collections import Counter

import numpy as np
import pytest

from mapper.compile import compile_model
from rtl.spec.config import UNIT_BYTES, get
from rtl.spec.isa import Unit
from sim import profiling
from sim.fpga.device import SimDevice
from sim.fpga.nodes import Span
from sim.models.toy import toy_model
from sim.profiling import REST, STALLS, UNITS, assumed_cache, step_counts


CONFIG = get("wide")  # which has counters
POSITION = 70


@pytest.fixture(scope="module")
def ran():
    """A device that has run a step at a position, its counts, and the image."""
    image = compile_model(toy_model(), CONFIG, 96)
    with SimDevice(CONFIG, record=True) as device:
        counts = step_counts(device, image, (3,), POSITION, True)
        yield device, counts, image


def of(counts, *key):
    """Sum of what has such a key; None stands for anything."""
    return sum(
        value
        for its, value in counts.items()
        if len(its) == len(key) and all(k in (None, i) for k, i in zip(key, its))
    )


@pytest.mark.seconds(20)
def test_each_cycle_is_one_nodes(ran):
    _, counts, _ = ran
    assert of(counts, "node", None, None, "cycles") == counts["cycles",] > 1000
    for key, value in counts.items():
        if key[0] == "node" and key[1:3] != REST and key[-1] == "cycles":
            assert 0 <= value <= counts[*key[:3], "busy"]


@pytest.mark.seconds(20)
def test_bytes_of_nodes_are_what_memory_moved(ran):
    """To the last beat, by client; and the weights are the image's, and a token's embedding."""
    device, counts, image = ran
    appended = of(counts, "node", "attention", "layer / attention / attend / append", "bytes")
    moved = {
        "weight": of(counts, "node", "linear", None, "bytes"),
        "kv": of(counts, "node", "attention", None, "bytes") - appended,
        "load": of(counts, "node", "load", None, "bytes"),
    }
    for client, size in moved.items():
        assert counts["beats", client] * CONFIG.beat_bytes == size > 0, client
    assert moved["weight"] == image.weight_bytes
    statistics = device.statistics()
    clients = ("weight", "kv", "load", "fetch")
    assert sum(counts["beats", client] for client in clients) == statistics["read_beats"]
    assert counts["beats", "write"] == statistics["write_beats"] > 0


@pytest.mark.seconds(20)
def test_units_are_busy_when_their_flags_say_so(ran):
    """Counters against the port `activity`, which has no waits for tokens."""
    device, counts, _ = ran
    transitions = device.transitions().astype(np.int64)
    lengths = np.diff(transitions[:, 0], append=device.cycles)
    for bit, unit in enumerate(UNITS):
        active = int(lengths[transitions[:, 1] >> bit & 1 == 1].sum())
        kinds = {kind: counts["unit", unit, kind] for kind in ("working", "starved", "output")}
        assert min(kinds.values()) >= 0, kinds
        assert abs(sum(kinds.values()) - active) <= 1 + counts["unit", unit, "token"] // 50, unit
    assert counts["unit", "linear", "token"] > 0 and counts["unit", "vector", "token"] > 0


@pytest.mark.seconds(20)
def test_counters_are_of_the_last_step(ran):
    device, _, _ = ran
    before = device.counters()
    device.step((1,), 0, False)
    after = device.counters()
    assert after["kv_beats"] < before["kv_beats"] and after["weight_beats"] < before["weight_beats"]
    assert device.get("COUNTERS") == len(after)


@pytest.mark.seconds(20)
def test_clocks_of_the_memory(ran):
    _, counts, _ = ran
    parts = ["data", "idle", *STALLS]
    assert sum(counts["dram", part] for part in parts) == counts["dram", "clocks"]
    assert all(counts["dram", part] >= 0 for part in parts)
    assert counts["dram", "clocks"] == round(counts["cycles",] * 1e6 / 300 / CONFIG.dram.ck_ps)


def test_a_cycle_belongs_to_the_first_unit():
    """Whose spans lie over each other; the last cycles of a recording are the step's."""

    def span(unit, node, start, cycles):
        return Span(unit, node, None, start, cycles, 64, 0, node)

    spans = [
        span("vector", "norm", 100, 20),
        span("linear", "q", 110, 5),
        span("load", "gain", 95, 10),
        span("vector", "before", 80, 5),
    ]
    found = profiling._nodes(spans, [(0, 1), (130, 0)], 40)
    cycles = {key[1:3]: value for key, value in found.items() if key[-1] == "cycles"}
    assert +Counter(cycles) == {
        ("vector", "norm"): 15,
        ("linear", "q"): 5,
        ("load", "gain"): 5,
        REST: 15,
    }


def test_an_assumed_cache_is_legal():
    """Exponents of usual values in front of each block, and elements of all kinds."""
    blocks = 3
    cache = assumed_cache(CONFIG, blocks * CONFIG.kv_block_units).reshape(blocks, -1)
    exponents, elements = cache[:, :UNIT_BYTES], cache[:, UNIT_BYTES:]
    assert exponents.min() >= 110 and exponents.max() < 130
    assert len(np.unique(elements)) == 256


def test_every_unit_has_a_place():
    assert UNITS[1:] == tuple(unit.name.lower() for unit in Unit)
    assert {*profiling.ORDER} < {*UNITS}
