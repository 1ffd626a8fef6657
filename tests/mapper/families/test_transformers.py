"""Each family, with every feature turned on, gives the logits of `transformers`, as closely as
the machine's numbers allow; and without a feature it does not, so that the comparison sees it."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import numpy as np
import pytest
import transformers

from mapper.compile import compile_model
from mapper.families import FAMILIES
from mapper.read import hf_model
from rtl.spec.config import HEAD_DIMS
from sim.functional import ModelDevice
from sw_ref.evaluation import EVALUATION

from ...chosen import cases
from .folders import IDS, model_of, reference, save
from .variants import PLAIN, VARIANTS
from .without import Without


CONTEXT = 128
AS_PLAIN, SEEN = 1.3, 3.0


def logits(model):
    """Logits of the functional machine, (positions, vocabulary)."""
    dim = min(dim for dim in HEAD_DIMS if dim >= model.head_dim)
    config = replace(EVALUATION, head_dim=dim, score_cap=model.shape.attention_cap)
    device, found = ModelDevice(config), []
    device.load(compile_model(model, config, CONTEXT))
    for at in range(0, len(IDS), config.columns):
        ids = IDS[at : at + config.columns]
        device.step(ids, at, True)
        found.append(device.logits[: len(ids)])
    found, cap = np.concatenate(found), model.shape.logit_cap
    return cap * np.tanh(found / cap) if cap else found


SCRATCH = TemporaryDirectory()  # as long as the tests run


def folder():
    """A new folder."""
    return Path(mkdtemp(dir=SCRATCH.name))


class Compared:
    """A variant's folder, and what `transformers` says."""

    def __init__(self, path, its):
        model = model_of(its.config, its.options, its.bias)
        self.path, self.expected = save(path, model), reference(model)
        self.shape = hf_model.read(path).shape

    def error(self, without=Without()):
        """Relative rms error of the functional machine."""
        with without.read(self.path) as model:
            got = logits(model)
        return np.linalg.norm(got - self.expected) / np.linalg.norm(self.expected)


@cache
def variant(name):
    """A variant, which is made once."""
    return Compared(folder(), VARIANTS[name])


@cache
def plain_error(**sizes):
    """The error of a plain Llama of some sizes."""
    return Compared(folder(), replace(PLAIN, options=sizes)).error()


def plain_bound(shape):
    """The largest error that a model of a shape may have."""
    return AS_PLAIN * plain_error(
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        intermediate_size=shape.ffn,
    )


KEPT = ("tinyllama", "gemma3", "gpt2")  # a folder takes seconds


def test_every_family_is_compared():
    """A new family needs an entry, and entries have features."""
    assert {its.family for its in VARIANTS.values()} == FAMILIES.keys()
    assert all(its.features for its in VARIANTS.values()) and {*KEPT} <= VARIANTS.keys()


def test_heads_are_tied():
    """Where a `config.json` does not say, as `transformers` has them."""
    for its in VARIANTS.values():
        config = getattr(transformers, its.config)()
        assert FAMILIES[its.family].tied == config.tie_word_embeddings, its.family


@pytest.mark.seconds(3)
@pytest.mark.parametrize("name", cases(VARIANTS, KEPT))
def test_logits(name):
    its = variant(name)
    assert its.shape.window < len(IDS) // 2  # positions well beyond it
    assert its.error() <= plain_bound(its.shape)


@pytest.mark.seconds(1)
@pytest.mark.parametrize(
    "name, feature",
    cases(((name, feature) for name, its in VARIANTS.items() for feature in its.features), KEPT),
)
def test_without_a_feature(name, feature):
    its = variant(name)
    error, least = its.error(VARIANTS[name].features[feature]), SEEN * plain_bound(its.shape)
    assert error >= least, (
        f"without {feature!r} the relative error must be at least {least:.3f}, not {error:.3f}, or "
        "nobody sees that it is missing: give the variant larger weights ('initializer_range'), "
        "or biases ('bias')"
    )
