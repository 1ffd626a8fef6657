"""Each family, with every feature turned on, gives the logits of `transformers`, as closely as
the machine's numbers allow; and without a feature it does not, so that the comparison sees it."""

from functools import cache

import numpy as np
import pytest
from sim.models.hf import HF_MODELS, PLAIN, logits_of, save

from mapper.families import FAMILIES
from mapper.read import hf_model

from .features import FEATURES
from .models import CHOSEN, IDS, KEPT, folder, logits
from .without import Without


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


@pytest.mark.seconds(3)
@pytest.mark.parametrize("name", CHOSEN)
def test_logits(name):
    its = compared(name)
    assert its.shape.window < len(IDS) // 2  # positions well beyond it
    assert its.error() <= bound(its.shape)


@pytest.mark.seconds(1)
@pytest.mark.parametrize(
    "name, feature", [(name, feature) for name in CHOSEN for feature in FEATURES[name]]
)
def test_without_a_feature(name, feature):
    its = compared(name)
    assert its.error(FEATURES[name][feature]) >= SEEN * bound(its.shape)
