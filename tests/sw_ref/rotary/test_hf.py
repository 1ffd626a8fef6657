"""Scalings of Hugging Face's configurations are those of `transformers`; what is not known is
refused.
"""

import json

import numpy as np
import pytest
import torch
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from sw_ref.rotary import KINDS, RopeScaling, frequencies, from_hf, table


DIM = 64
SHORT = [1.0 + 0.03 * n for n in range(DIM // 2)]
LONG = [1.0 + 1.7 * n for n in range(DIM // 2)]
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}
LONGROPE = {
    "rope_type": "longrope",
    "short_factor": SHORT,
    "long_factor": LONG,
    "original_max_position_embeddings": 4096,
}
# Parameters, theta, positions that the model was trained on, and those that are compiled.
CASES = {
    "linear": ({"rope_type": "linear", "factor": 8.0}, 1e6, 32768, 2048),
    "linear-old": ({"type": "linear", "factor": 2.5}, 1e4, 4096, 2048),
    "dynamic-within": ({"rope_type": "dynamic", "factor": 2.0}, 1e4, 2048, 2048),
    "dynamic-beyond": ({"rope_type": "dynamic", "factor": 2.0}, 1e4, 2048, 5000),
    "llama3": (LLAMA3, 5e5, 131072, 2048),
    "llama3-other": (
        LLAMA3 | {"factor": 8.0, "high_freq_factor": 6.5, "low_freq_factor": 1.5},
        1e4,
        131072,
        2048,
    ),
    "yarn": (YARN, 1e6, 16384, 2048),
    "yarn-betas": (YARN | {"beta_fast": 48, "beta_slow": 2, "factor": 40}, 1e4, 163840, 2048),
    "yarn-smooth": (YARN | {"truncate": False}, 15e4, 16384, 2048),
    "yarn-attention": (YARN | {"attention_factor": 0.9}, 1e6, 16384, 2048),
    "yarn-mscale": (YARN | {"mscale": 1.0, "mscale_all_dim": 0.7}, 1e4, 16384, 2048),
    "yarn-no-factor": (YARN | {"factor": None}, 1e6, 16384, 2048),
    "longrope-short": (LONGROPE, 1e4, 131072, 4096),
    "longrope-long": (LONGROPE, 1e4, 131072, 4097),
    "longrope-attention": (LONGROPE | {"attention_factor": 1.3}, 1e4, 131072, 8192),
    "longrope-factor": (LONGROPE | {"factor": 16.0}, 1e4, 131072, 2048),
}


def theirs(rope, theta, trained, context):
    """Frequencies and attention factor of `transformers`."""
    rope = {"rope_theta": theta, **rope}
    rope.setdefault("rope_type", rope.get("type"))
    config = LlamaConfig(
        hidden_size=4 * DIM,
        num_attention_heads=4,
        max_position_embeddings=trained,
        rope_parameters=rope,
    )
    found, attention = ROPE_INIT_FUNCTIONS[rope["rope_type"]](config, "cpu", seq_len=context)
    return found.numpy(), attention


def test_every_kind_has_a_case():
    assert {name.split("-")[0] for name in CASES} | {"default"} == set(KINDS)


@pytest.mark.parametrize("name", CASES)
def test_is_what_transformers_computes(name):
    rope, theta, trained, context = CASES[name]
    expected, attention = theirs(rope, theta, trained, context)
    old = {"rope_scaling": rope, "rope_theta": theta}
    new = {"rope_parameters": rope | {"rope_theta": theta}}
    for config in old, new:
        config["max_position_embeddings"] = trained
        found, scaling = from_hf(json.loads(json.dumps(config)), DIM, context)
        assert found == theta and scaling.attention == pytest.approx(attention, rel=1e-12)
        got = frequencies(DIM, theta, scaling)
        np.testing.assert_allclose(got, expected, rtol=1e-6)
        assert got.dtype == np.float32
    plain = frequencies(DIM, theta)
    beyond = name not in ("dynamic-within",)
    assert beyond == (np.abs(got / plain - 1).max() > 0.01)  # the case sees its scaling


@pytest.mark.parametrize("name", ["default", "yarn", "longrope-long"])
def test_table(name):
    """Cosines and sines as a model computes them, float32 through."""
    if name == "default":
        theta, scaling = 5e5, RopeScaling()
        found, attention = 1.0 / theta ** (torch.arange(0, DIM, 2).float() / DIM), 1.0
    else:
        rope, theta, trained, context = CASES[name]
        config = {"rope_scaling": rope, "rope_theta": theta, "max_position_embeddings": trained}
        theta, scaling = from_hf(config, DIM, context)
        found, attention = theirs(rope, theta, trained, context)
    cosines, sines = table(DIM, theta, scaling, 300)
    turned = torch.arange(300).float()[:, None] * torch.as_tensor(found)
    assert cosines.shape == sines.shape == (300, DIM // 2) and cosines.dtype == np.float32
    for got, expected in zip((cosines, sines), (turned.cos(), turned.sin())):
        np.testing.assert_allclose(got, expected * attention, atol=1e-4)


@pytest.mark.parametrize(
    "config, expected",
    [
        ({}, (1e4, RopeScaling(context=99))),
        ({"rope_theta": 5e5, "rope_scaling": None}, (5e5, RopeScaling(context=99))),
        (
            {"rope_parameters": {"rope_theta": 7e3, "partial_rotary_factor": 0.5}},
            (7e3, RopeScaling(context=99)),
        ),
    ],
)
def test_no_scaling(config, expected):
    assert from_hf(config, DIM, 99) == expected


def test_spellings():
    """Older names, and keys inside and outside, say the same."""
    config = {"rope_scaling": LONGROPE, "max_position_embeddings": 131072}
    expected = from_hf(config, DIM, 8192)
    outside = {k: v for k, v in LONGROPE.items() if not k.startswith("original")}
    outside["type"] = outside.pop("rope_type")
    for kind in "longrope", "su", "yarn":
        found = from_hf(
            {
                "rope_scaling": outside | {"type": kind},
                "original_max_position_embeddings": 4096,
                "max_position_embeddings": 131072,
            },
            DIM,
            8192,
        )
        assert found == expected


def test_kinds_of_layers():
    """Gemma 3, as it was and as it is written."""
    linear = {"rope_type": "linear", "factor": 8.0}
    old = {"rope_theta": 1e6, "rope_local_base_freq": 1e4, "rope_scaling": linear}
    new = {
        "rope_parameters": {
            "full_attention": linear | {"rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        }
    }
    for config in old, new:
        theta, scaling = from_hf(config, DIM, 99, "full_attention")
        assert (theta, scaling.kind, scaling.factor) == (1e6, "linear", 8.0)
        theta, scaling = from_hf(config, DIM, 99, "sliding_attention")
        assert (theta, scaling.kind) == (1e4, "default")
    with pytest.raises(ValueError, match=r"^RoPE parameters must have those of 'x' layers$"):
        from_hf(new, DIM, 99, "x")


@pytest.mark.parametrize(
    "rope, message",
    [
        (3, "RoPE parameters must be a JSON object, not 3"),
        ({"rope_type": "ntk"}, f"'rope_type' must be one of {', '.join(KINDS)}, not 'ntk'"),
        ({"rope_type": ["yarn"]}, f"'rope_type' must be one of {', '.join(KINDS)}, not ['yarn']"),
        (
            {"rope_type": "linear", "type": "yarn", "factor": 2.0},
            "'rope_type' and 'type' must be one, not 'linear' and 'yarn'",
        ),
        (
            {"rope_type": "default", "factor": 2.0},
            "RoPE parameters of type 'default' must be without 'factor'",
        ),
        (
            YARN | {"llama_4_scaling_beta": 0.1},
            "RoPE parameters of type 'yarn' must be without 'llama_4_scaling_beta'",
        ),
        ({"rope_theta": 2e4}, "'rope_theta' must be one thing, not 20000.0 and 10000.0"),
        ({"rope_type": "linear"}, "'factor' must be a number, not None"),
        ({"rope_type": "linear", "factor": True}, "'factor' must be a number, not True"),
        (
            {"rope_type": "linear", "factor": -2},
            "'factor' must be above 0, and at most 1e+15, not -2",
        ),
        (
            {"rope_type": "linear", "factor": float("nan")},
            "'factor' must be above 0, and at most 1e+15, not nan",
        ),
        (
            LLAMA3 | {"high_freq_factor": 1.0},
            "'high_freq_factor' must be above 1, and at most 1e+15, not 1.0",
        ),
        (YARN | {"truncate": 1}, "'truncate' must be true or false, not 1"),
        (
            LONGROPE | {"short_factor": [1.0]},
            "'short_factor' must be 32 numbers, one per frequency, not 1",
        ),
        (
            LONGROPE | {"short_factor": None},
            "'short_factor' must be 32 numbers, one per frequency, not None",
        ),
        (
            LONGROPE | {"short_factor": [0.0] * 32},
            "'short_factor' must be above 1e-06, and at most 1e+15, not 0.0",
        ),
    ],
)
def test_refused(rope, message):
    config = {"rope_scaling": rope, "rope_theta": 1e4, "max_position_embeddings": 8192}
    with pytest.raises(ValueError) as error:
        from_hf(config, DIM, 99)
    assert str(error.value) == message
