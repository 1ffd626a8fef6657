"""Models at the machine's limits, which the mapper takes, and one beyond, which it refuses."""

import re
from copy import copy
from dataclasses import replace
from types import SimpleNamespace

import pytest

from host.errors import UserError
from mapper.compile import _check, _check_memory, compile_model
from mapper.dram_layout import MemoryMap
from mapper.families import FAMILIES
from mapper.model import Model
from mapper.passes import lowerable
from rtl.spec import limits
from rtl.spec.config import get
from rtl.spec.isa import Attend, WeightFormat, decode
from sim.models.toy import toy_model
from tests.extreme import CONFIG


MODEL = toy_model()


def resized(it, **sizes):
    """A model, or a configuration, with sizes that it would not take."""
    it = copy(it)
    if isinstance(it, Model):
        of_shape = {name for name in sizes if name != "layers" and hasattr(it.shape, name)}
        shape = resized(it.shape, **{name: sizes.pop(name) for name in of_shape})
        object.__setattr__(it, "shape", shape)
    for name, value in sizes.items():
        object.__setattr__(it, name, value)
    return it


def refusal(model, config=CONFIG, context=32):
    """Why a model is not compiled: one line."""
    with pytest.raises(UserError, match="^toy: ") as caught:
        compile_model(model, config, context)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Sizes of a model as the limited number, that number, and what is said of one more.
COMPILE = {
    "positions": (
        lambda n: {"context": n},
        65536,
        "65537 positions of context, the machine takes 65536",
    ),
    "rows": (lambda n: {"vocab": n}, 1048575, "1048576 tokens, the machine takes 1048575"),
    "repetitions": (lambda n: {"heads": n}, 255, "256 query heads, the machine takes 255"),
    "layers": (lambda n: {"layers": range(n)}, 65535, "65536 layers, the machine takes 65535"),
    "inner": (lambda n: {"hidden": n}, 32767, "the hidden size is 32768, the machine takes 32767"),
}


@pytest.mark.parametrize("name", COMPILE)
def test_compile(name):
    """Before anything of the model is read."""
    sizes, most, text = COMPILE[name]
    assert most == limits.LIMITS[name].most
    taken, model = (resized(MODEL, **sizes(n)) for n in (most, most + 1))
    _check(CONFIG, taken, taken.context)
    assert refusal(model, context=model.context).endswith(": " + text)


@pytest.mark.parametrize(
    "sizes, beyond, what",
    [
        ({"ffn": 511 * 64}, {"ffn": 512 * 64}, "feed-forward size"),
        (
            {"kv_heads": 127, "heads": 127, "head_dim": 128},
            {"kv_heads": 128, "heads": 128, "head_dim": 128},
            "keys' and values' size",
        ),
    ],
)
def test_inner_of_other_vectors(sizes, beyond, what):
    config = resized(CONFIG, head_dim=sizes.get("head_dim", CONFIG.head_dim))
    _check(config, resized(MODEL, **sizes), 32)
    text = refusal(resized(MODEL, **beyond), config)
    assert text.endswith(f": the {what} is 32768, the machine takes 32767")


def test_heads():
    """As many KV heads as query heads."""
    most = limits.LIMITS["heads"].most
    _check(CONFIG, resized(MODEL, kv_heads=most, heads=most), 32)
    model = resized(MODEL, kv_heads=most + 1, heads=most)
    assert refusal(model).endswith(": 256 KV heads, the machine takes 255")


def test_groups(monkeypatch):
    """A vector of one more would be too long for VECTOR and QUANT, too."""
    most = limits.LIMITS["groups"].most
    _check(CONFIG, resized(MODEL, hidden=32 * most), 32)
    monkeypatch.setattr(limits, "INNER", 1 << 20)
    text = refusal(resized(MODEL, hidden=32 * (most + 1)))
    assert text.endswith(": 1024 groups of activations, the machine takes 1023")


def test_queries():
    """More query heads than one instruction takes go in several, whatever the configuration has."""
    model = toy_model(heads=16, hidden=1024, ffn=64, layers=1)
    for queries in (15, 16):
        image = compile_model(model, resized(get("wide"), queries=queries), 32)
        attends = [i for i in map(decode, image.instructions) if isinstance(i, Attend)]
        assert [insn.queries for insn in attends] == [15, 1]


CAPACITIES = {
    "vector_words": "needs {} words of vector memory, configuration 'small' has {}",
    "act_groups": "{} activations, the buffer holds {}",
    "program_words": "the program has {} instructions, configuration 'small' holds {}",
}


@pytest.mark.parametrize("name", CAPACITIES)
def test_capacity(name):
    """What a program fills to the last place compiles, and is legal. One place less is refused."""
    config = get("small")
    image, scale = compile_model(MODEL, config, 32), 32 if name == "act_groups" else 1
    words = image.report["vector_words"]
    full = {
        "vector_words": words,
        "act_groups": MODEL.ffn // 32,
        "program_words": image.length,
    }[name]
    for size in (full, full - 1):
        config = resized(config, **{name: size})
        if size == full:
            assert compile_model(MODEL, config, 32).length == image.length
    text = CAPACITIES[name].format(scale * full, scale * (full - 1))
    assert refusal(MODEL, config).endswith(text)


@pytest.mark.parametrize(
    "context, blocks", [(1, 1), (31, 1), (32, 1), (33, 2), (40, 2), (64, 2), (65, 3)]
)
def test_cache_of_any_context(context, blocks):
    """A block of positions that is not full takes as much as any."""
    image = compile_model(MODEL, get("small"), context)
    first, end = image.writable
    assert end - first == 2 * blocks * get("small").kv_block_units
    assert end == image.memory_units


# What is counted in a memory map.
MEMORY = {
    "cache": "units of a head's KV cache",
    "stream": "units of weights in the layers",
    "head": "units of weights in the head",
    "units": "units of DRAM",
    "beats": "beats of weights in a step",
}


@pytest.mark.parametrize("name", MEMORY)
def test_memory(name, monkeypatch):
    """What is larger than anything that a test can have, as numbers."""
    limit = "stream" if name == "head" else name
    most, kv_heads = limits.LIMITS[limit].most, 255 if name == "units" else 1
    if name == "beats":
        # Two streams, in the widest of units, are at most half of these beats.
        assert 2 * limits.STREAM * get("small").unit_beats < most
        monkeypatch.setattr(limits, "STREAM", most)
    model = SimpleNamespace(
        path="toy",
        hidden=64,
        vocab=64,
        head_dim=64,
        kv_heads=kv_heads,
        layers=range(126),
        tied=True,
    )
    shape = replace(MODEL.shape, hidden=64, vocab=64, heads=kv_heads, kv_heads=kv_heads, layers=126)
    graph = lowerable(FAMILIES["llama"].graph(shape), CONFIG.head_dim)
    head = WeightFormat.S8
    context = limits.POSITIONS if name == "units" else 32

    def memory(layer_units):
        return MemoryMap(CONFIG, model, context, 4, [layer_units], head, (head, 0), graph)

    at, beyond = memory(1), memory(1)
    if name == "head":
        at.head_units, beyond.head_units = most, most + 1
    elif name == "cache":
        for its, units in (at, most), (beyond, most + 1):
            its.caches["layer"] = replace(its.caches["layer"], head_units=units)
    else:
        units = {
            "stream": most,
            "units": most - memory(0).end,
            "beats": most // CONFIG.unit_beats - memory(0).weight_units,
        }[name]
        assert 0 < units <= limits.STREAM
        at, beyond = memory(units), memory(units + 1)
    _check_memory(CONFIG, model, at)
    with pytest.raises(UserError) as caught:
        _check_memory(CONFIG, model, beyond)
    assert re.fullmatch(rf"toy: \d+ {MEMORY[name]}, the machine takes {most}", str(caught.value))


def test_compile_checks_memory(monkeypatch):
    """A whole compilation, with a limit that a toy reaches."""
    units = sum(compile_model(MODEL, get("small"), 32).report["layer_units"])
    monkeypatch.setattr(limits, "STREAM", units)
    compile_model(MODEL, get("small"), 32)
    monkeypatch.setattr(limits, "STREAM", units - 1)
    text = f": {units} units of weights in the layers, the machine takes {units - 1}"
    assert refusal(MODEL, get("small")).endswith(text)


def test_load_is_long_enough():
    """No program needs more at once: gains are two vectors."""
    assert 2 * limits.INNER // 16 < limits.LIMITS["load"].most
    assert CONFIG.vector_words // 16 < limits.LIMITS["load"].most
