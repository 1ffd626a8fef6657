"""Weights in tensor types of GGUF, and the shipped models that were trained in them."""

import hashlib
import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from host.language.tokenizer import Tokenizer
from mapper.families import FAMILIES
from mapper.read.find import load
from mapper.read.gguf_types import TYPES, Codes
from rtl.spec.isa import WeightFormat
from sw_ref.training import block_bytes, blocks, loop, rounding, text
from sw_ref.training.llama import SHAPES, Llama

from ..mapper.gguf_blocks import dequantize
from .test_training import HELD_OUT, MODELS, one_thread, random  # noqa: F401 - a fixture


FORMS = pytest.mark.parametrize("form", blocks.TYPES)
KEPT = {"q1_0": "U1", "q2_k": "U2", "q3_k": "U3", "q8_0": "S8"}
# Type, and a bound on the loss of the held-out address in nats per token.
SHIPPED = {
    "tiny-q1": ("q1_0", 2.7),
    "tiny-q2": ("q2_k", 2.62),
    "tiny-q3": ("q3_k", 2.68),
}
NAMES = pytest.mark.parametrize("name", SHIPPED)


def matrix():
    """Weights of many magnitudes, zeros among them."""
    w = random(48, 512) * torch.logspace(-6, 3, 48)[:, None]
    w[5] = 0
    w[6, :256] = 0
    w[7, 3::32] *= 50
    return w


def decoded(form, raw):
    its = TYPES[gguf.GGMLQuantizationType[form.upper()]]
    assert (its.elements, its.size) == block_bytes.SIZES[form]
    return its.decode(raw.reshape(len(raw), -1, its.size))


@FORMS
def test_bytes_hold_the_weights(form):
    """What training computes with, the library finds in the file; the mapper keeps its codes."""
    w = matrix()
    raw = block_bytes.pack(blocks.fit(w, form), form)
    kind = gguf.GGMLQuantizationType[form.upper()]
    np.testing.assert_array_equal(dequantize(raw, kind), blocks.weights(w, form).numpy())
    found = decoded(form, raw)
    assert isinstance(found, Codes) and found.format == WeightFormat[KEPT[form]]


@FORMS
def test_a_mistake_in_the_bytes_is_found(form):
    w = matrix()
    raw = np.roll(block_bytes.pack(blocks.fit(w, form), form), 1, -1)
    with np.errstate(all="ignore"):
        found = dequantize(raw, gguf.GGMLQuantizationType[form.upper()])
    assert (found != blocks.weights(w, form).numpy()).any()


@pytest.mark.parametrize(
    "form, least", [("q1_0", 0.363), ("q2_k", 0.119), ("q3_k", 0.037), ("q8_0", 1e-4)]
)
def test_error(form, least):
    """That of the best even steps for normal weights (Max, 1960), and no more."""
    w = random(64, 768)
    lost = (blocks.weights(w, form) - w).square().mean() / w.square().mean()
    assert lost < least


@FORMS
def test_straight_through(form):
    w = random(8, 256).requires_grad_()
    rounded = rounding.weights(w, form)
    torch.testing.assert_close(rounded, blocks.weights(w.detach(), form))
    (rounded * random(8, 256, seed=8)).sum().backward()
    torch.testing.assert_close(w.grad, random(8, 256, seed=8))


@pytest.mark.parametrize("bits", [9, 11])
def test_half(bits):
    x = random(1000).abs() + blocks.LEAST
    found = blocks.half(x, bits)
    assert (found.half().float() == found).all()
    assert ((found - x).abs() <= x * 2.0**-bits).all()
    if bits == 9:
        assert ((1.5 * found).half().float() == 1.5 * found).all()


def test_scales_have_both_signs():
    """Of Q3_K: the largest weight is -4 times its scale, or those codes are for nothing."""
    its = blocks.fit(random(64, 256), "q3_k")
    assert its.scale.min() < 0 < its.scale.max() and its.codes.min() == 0
    assert its.codes.max() == 7


def shipped(name):
    """A shipped model in PyTorch, from what the mapper reads."""
    source, family, state = load(name), FAMILIES["llama"], {}
    for n, layer in enumerate(source.layers):
        for part, names in family.linears.items():
            state[f"layers.{n}.{names.hf}.weight"] = layer.linears[part].float32()
        for part, names in family.norms.items():
            state[f"layers.{n}.{names.hf}.weight"] = layer.vectors[part]
    state |= {
        "embed_tokens.weight": source.embedding.float32(),
        "norm.weight": source.outside["norm"],
    }
    model = Llama(SHAPES["blocks"])
    model.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    return model.eval(), source


@NAMES
def test_shipped_codes(name):
    """All codes of the format, none rounded; and all of them at work."""
    fmt, (_, source) = WeightFormat[KEPT[SHIPPED[name][0]]], shipped(name)
    for layer in source.layers:
        for linear in layer.linears.values():
            assert linear.format == fmt and linear.rounding is None
            shares = np.bincount(linear.codes.reshape(-1)) / linear.codes.size
            assert len(shares) == 1 << int(fmt.name[1]) and shares.min() > 0.01


@NAMES
def test_shipped_file(name):
    """Card and history say which file it is; it is small."""
    raw, about = (MODELS / name / "model.gguf").read_bytes(), MODELS / name
    digest = hashlib.sha256(raw).hexdigest()
    history = json.loads((about / "training.json").read_text())
    assert (history["bytes"], history["sha256"]) == (len(raw), digest)
    assert f"`model.gguf`, {len(raw):,} bytes, sha256 `{digest}`" in (
        about / "README.md"
    ).read_text("utf-8")
    assert len(raw) < 3 << 19
    assert {path.name for path in Path(about).iterdir()} == {
        "README.md",
        "model.gguf",
        "training.json",
    }


@NAMES
def test_shipped_loss(name):
    model, source = shipped(name)
    tokenizer = Tokenizer.from_json(source.tokenizer).inner
    ids = text.encode(tokenizer, [HELD_OUT.read_text("utf-8").strip()])
    assert loop.evaluate(model, ids, 256) < SHIPPED[name][1]
