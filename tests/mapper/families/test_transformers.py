"""Each family, with every feature turned on, gives the logits of `transformers`, as closely as
the machine's numbers allow; and without a feature it does not, so that the comparison sees it."""

from functools import cache

import numpy as np
import pytest
import transformers

from mapper.families import FAMILIES
from mapper.read import hf_model
from sim.models.hf import HF_MODELS, PLAIN, logits_of, save

from ...chosen import cases
from .features import FEATURES
from .models import IDS, KEPT, folder, logits
from .without import Without


pytestmark = pytest.mark.seconds(1)  # whole models, which `make check` leaves out


AS_PLAIN, SEEN = 1.3, 3.0  # times a plain Llama's error; times that bound


class Compared:
    """A model's folder, and what `transformers` says."""

    def __init__(self, its, **options):
        model = its.make(**options)
        self.path, self.expected = save(folder(), model), logits_of(model, IDS)
        self.shape = hf_model.read(self.path).shape

    def error(self, without=Without()):
        """Relative rms error of the functional machine."""
        with without.read(self.path) as model:
            got = logits(model)
        return np.linalg.norm(got - self.expected) / np.linalg.norm(self.expected)


@cache
def compared(name):
    return Compared(HF_MODELS[name])


@cache
def plain_error(**sizes):
    """The error of a plain Llama of some sizes."""
    return Compared(PLAIN, **sizes).error()


def bound(shape):
    """The largest error that a model of a shape may have."""
    return AS_PLAIN * plain_error(
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        intermediate_size=shape.ffn,
    )


def test_every_family_is_compared():
    """A new family needs a model, and models have features."""
    assert {its.family for its in HF_MODELS.values()} == FAMILIES.keys()
    assert FEATURES.keys() == HF_MODELS.keys() > {*KEPT}
    assert all(FEATURES.values())


def test_heads_are_tied():
    """Where a `config.json` does not say, as `transformers` has them."""
    for its in HF_MODELS.values():
        config = getattr(transformers, its.config)()
        assert FAMILIES[its.family].tied == config.tie_word_embeddings, its.family


@pytest.mark.seconds(3)
@pytest.mark.parametrize("name", cases(HF_MODELS, KEPT))
def test_logits(name):
    its = compared(name)
    assert its.shape.window < len(IDS) // 2  # positions well beyond it
    assert its.error() <= bound(its.shape)


@pytest.mark.seconds(1)
@pytest.mark.parametrize(
    "name, feature",
    cases(((name, feature) for name, its in FEATURES.items() for feature in its), KEPT),
)
def test_without_a_feature(name, feature):
    its = compared(name)
    error, least = its.error(FEATURES[name][feature]), SEEN * bound(its.shape)
    assert error >= least, (
        f"without {feature!r} the relative error must be at least {least:.3f}, not {error:.3f}, or "
        "nobody sees that it is missing: give the model larger weights ('initializer_range'), or "
        "biases ('bias')"
    )
