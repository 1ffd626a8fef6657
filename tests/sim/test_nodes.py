"""What units were at, from when instructions left their queues."""

import json
from types import SimpleNamespace

import pytest

from mapper.compile import compile_model
from rtl.spec.config import get
from rtl.spec.isa import Halt, Load, Loop, Scalar, Sync, Unit, Vector
from sim.fpga.device import SimDevice
from sim.fpga.nodes import Stepped, node_spans
from sim.fpga.traffic import CLIENTS
from sim.models.toy import toy_model


USE = Vector(outer=1, inner=64, d=64, a=0, b_const=1, c_const=1)
PROGRAM = [
    Loop(length=5, count=2),
    Load(size=1),
    Sync(unit=Unit.LOAD, give=1),
    Sync(unit=Unit.VECTOR, take=1),
    USE,
    Scalar(),
    Halt(),
]
IMAGE = SimpleNamespace(
    instructions=[insn.encode() for insn in PROGRAM],
    memory_units=9,
    writable=(9, 9),
    memory=None,
    nodes=True,
    node=lambda pc: "gain" if pc < 4 else "norm",
)
LOAD, VECTOR = Unit.LOAD.value, Unit.VECTOR.value
# Two rounds: a load at 10, done at 14 where its SYNC leaves; the vector waits until then, and works
# to 30.
TAKINGS = [
    (10, LOAD),
    (14, LOAD),
    (15, VECTOR),
    (16, VECTOR),
    (20, LOAD),
    (24, LOAD),
    (31, VECTOR),
    (33, VECTOR),
]
TRANSITIONS = [
    (10, 1 << LOAD),
    (14, 0),
    (16, 1 << VECTOR),
    (20, 1 << VECTOR | 1 << LOAD),
    (24, 1 << VECTOR),
    (30, 0),
    (33, 1 << VECTOR),
    (40, 0),
]


def spans(steps, takings=TAKINGS, end=50, image=IMAGE):
    found = node_spans(image, get("small"), steps, takings, TRANSITIONS, end)
    return [(its.unit, its.node, its.start, its.cycles) for its in found]


def test_spans():
    """A span ends where the unit comes to rest, or goes on with something else."""
    assert spans([Stepped(5, (1,), 0, True)]) == [
        ("load", "gain", 10, 4),
        ("load", "gain", 20, 4),
        ("vector", "norm", 16, 14),
        ("vector", "norm", 33, 7),
    ]


@pytest.mark.parametrize("taken, found", [(0, 0), (1, 1), (4, 2), (8, 4)])
def test_step_that_was_interrupted(taken, found):
    """What never left a queue has no span."""
    assert len(spans([Stepped(5, (1,), 0, True)], TAKINGS[:taken])) == found


def test_each_step_begins_anew():
    """Instructions are counted from the step on in which they left."""
    later = [(cycle + 100, unit) for cycle, unit in TAKINGS]
    steps = [Stepped(5, (1,), 0, True), Stepped(105, (2,), 1, True)]
    names = [name for _, name, _, _ in spans(steps, TAKINGS[:2] + later, 200)]
    assert names == ["gain", "gain", "gain", "norm", "norm"]


def test_image_without_names():
    assert spans([Stepped(5, (1,), 0, True)], image=SimpleNamespace(nodes=[])) == []


@pytest.mark.seconds(20)
def test_timeline_of_a_model(tmp_path):
    """Each product has as many spans as there are layers and steps, in the order of the program."""
    model, path = toy_model(), tmp_path / "timeline.json"
    with SimDevice(get("small"), timeline=path) as device:
        device.load(compile_model(model, get("small"), 32))
        device.step([1], 0, False)
        device.step([2], 1, True)
        weights = device.statistics()["weight_beats"] * get("small").beat_bytes
    events = json.loads(path.read_text())["traceEvents"]
    tracks = {e["args"]["name"]: e["tid"] for e in events if e["name"] == "thread_name"}
    spans = [e for e in events if e["ph"] == "X" and e["tid"] == tracks["linear: nodes"]]
    spans.sort(key=lambda e: e["ts"])
    layers = [
        f"layer {n} / {node}"
        for n in range(2)
        for node in (
            "attention / kv",
            "attention / q",
            "attention / o",
            *(f"ffn / gate, up {n}" for n in range(3)),
            "ffn / down",
        )
    ]
    assert [e["name"] for e in spans] == ["embedding", *layers, "embedding", *layers, "head"]
    for one, following in zip(spans, spans[1:]):  # microseconds, which are decimal
        assert one["ts"] + one["dur"] <= following["ts"] + 1e-6
    assert all(span["dur"] > 1 for span in spans)  # a product is more than its first cycles
    assert {"layer 0 / ffn / silu 2", "layer 1 / ffn / silu 2"} < {
        e["name"] for e in events if e.get("tid") == tracks["vector: nodes"]
    }
    points = [e for e in events if e["ph"] == "C"]
    assert {*points[0]["args"]} == {*CLIENTS}
    # Rates, of the time to the next point, are together what memory read until the last one.
    read = sum(
        e["args"]["weights"] * 1e3 * (after["ts"] - e["ts"]) for e, after in zip(points, points[1:])
    )
    assert read == pytest.approx(weights, rel=0.03)
