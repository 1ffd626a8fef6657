"""`python -m headrace.studies.shape_cycles`: what it counts, of a small model on the RTL."""

from dataclasses import replace

import pytest

from headrace.library.machines import fitting
from headrace.studies import shape_cycles
from headrace.studies.large_shapes import SHAPES
from headrace.studies.random_weights import write
from headrace.studies.shape_cycles import CONTEXT, Measured, measure, shared, two_layers
from host.errors import UserError
from mapper.compile import compile_model
from mapper.read.find import load
from rtl.spec.config import get
from sim.models.compare import Pair
from sim.programs.compare import Difference


SIZES = dict(hidden=128, ffn=192, heads=4, kv_heads=2, head_dim=64, vocab=512)


def compiled(path, config, shape):
    write(path, two_layers(shape))
    return compile_model(load(path), config, CONTEXT)


def test_two_layers():
    """One of each kind, where there are two."""
    assert len(two_layers(SHAPES["Qwen3-4B"]).graph.kinds) == 1
    gemma = two_layers(SHAPES["Gemma-3-1B"])
    assert [*gemma.graph.order] == ["window layer", "full layer"] and gemma.hidden == 1152


@pytest.mark.seconds(15)
def test_measured(tmp_path):
    """A Gemma 3, beyond its window: what is the head's is not the layers'."""
    config = get("small")
    image = compiled(tmp_path / "m.gguf", config, replace(SHAPES["Gemma-3-1B"], **SIZES))
    pair = Pair(config, record=True)
    layers, head = measure(pair, image)
    for its, size in (layers, image.weight_bytes - head.bound * 16), (head, head.bound * 16):
        assert its.bound <= its.cycles and size / 16 <= its.beats <= its.cycles
    assert head.bound * 16 >= 512 * 128  # a byte a weight
    assert {unit for unit, _ in layers.nodes} >= {"linear", "vector", "attention"}
    assert layers.nodes["linear", "window layer / ffn / down"] > 0
    assert head.nodes.most_common(1)[0][0] == ("linear", "head")
    with pytest.raises(Difference):  # of a machine that runs something else
        pair.device = lambda dram, device=pair.device: Other(device(dram))
        measure(pair, image)


class Other:
    """A device that gets other tokens."""

    def __init__(self, device):
        self._device = device

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._device.close()

    def __getattr__(self, name):
        return getattr(self._device, name)

    def step(self, tokens, position, head):
        return self._device.step([token + 1 for token in tokens], position, head)


def test_less():
    whole = Measured(cycles=30, beats=20, bound=15, nodes={})
    whole = replace(whole, nodes=shape_cycles.Counter({("vector", "norm"): 5}))
    assert whole.less(replace(whole, cycles=20, beats=12, bound=8)).cells == ["10", "80.0 %", "7"]


@pytest.mark.parametrize("name", ["Llama-3.2-1B", "BitNet-2B-4T"])
def test_shared(name, tmp_path):
    """The machine of several shapes has what fits each, and its columns and lanes."""
    sizes = dict(layers=1, hidden=2560, ffn=6912, heads=20, kv_heads=5, vocab=512)
    write(path := tmp_path / "m.gguf", replace(SHAPES[name], **sizes))
    machine, _ = fitting(load(path))
    its = shared(machine)
    assert its.name == f"wide-{machine.head_dim}"
    assert {*machine.formats} <= {*its.formats}
    assert (its.columns, its.lanes, its.head_dim) == (
        machine.columns,
        machine.lanes,
        machine.head_dim,
    )
    for field in "vector_words", "act_groups", "program_words":
        assert getattr(its, field) >= getattr(machine, field)


def test_other_names():
    with pytest.raises(UserError, match="^the shape must be one of Llama-3.2-1B, .*, not 'Llama'$"):
        shape_cycles.command(["Llama"])
