"""Scalings of GGUF files are those of the Hugging Face models that they were made of."""

import numpy as np
import pytest

from sw_ref.rotary import RopeScaling, frequencies, from_gguf, from_hf


DIM = 64
SHORT = np.linspace(1, 2, DIM // 2).astype(np.float32)
LONG = np.linspace(1, 40, DIM // 2).astype(np.float32)


def scaling(**fields):
    return {"context_length": 8192} | {
        f"rope.scaling.{key}": value for key, value in fields.items()
    }


YARN = scaling(type="yarn", factor=4.0, original_context_length=2048)


def hf(kind, context=2048, **parameters):
    config = {
        "rope_scaling": {"rope_type": kind, **parameters},
        "rope_theta": 1e4,
        "max_position_embeddings": 8192,
    }
    return from_hf(config, DIM, context)[1]


@pytest.mark.parametrize(
    "fields",
    [
        scaling(),
        scaling(type="none"),
        scaling(type="none", factor=8.0),
        scaling(factor=0.0),
        scaling(type="linear", factor=1.0, finetuned=True),
        {"context_length": 8192, "rope.scale_linear": 1.0},
    ],
)
def test_no_scaling(fields):
    theta, found = from_gguf(fields | {"rope.freq_base": 5e5}, DIM, 2048)
    assert theta == 5e5
    assert found == RopeScaling(original=8192, context=2048)


@pytest.mark.parametrize(
    "fields",
    [
        scaling(type="linear", factor=4.0),
        scaling(factor=4.0),
        {"context_length": 8192, "rope.scale_linear": 4.0},
    ],
)
def test_linear(fields):
    theta, found = from_gguf(fields, DIM, 2048)
    assert theta == 1e4 and found.kind == "linear"
    np.testing.assert_array_equal(
        frequencies(DIM, theta, found), frequencies(DIM, theta, hf("linear", factor=4.0))
    )


@pytest.mark.parametrize(
    "extra, parameters",
    [
        ({}, {}),
        ({"yarn_beta_fast": 40.0, "yarn_beta_slow": 2.0}, {"beta_fast": 40.0, "beta_slow": 2.0}),
        ({"yarn_log_multiplier": 1.0}, {"mscale": 1.0, "mscale_all_dim": 1.0}),
        ({"yarn_log_multiplier": 0.5}, {"mscale": 1.0, "mscale_all_dim": 0.5}),
        ({"yarn_ext_factor": 1.0, "yarn_attn_factor": 1.0}, {}),
    ],
)
def test_yarn(extra, parameters):
    _, found = from_gguf(YARN | scaling(**extra), DIM, 2048)
    expected = hf("yarn", factor=4.0, original_max_position_embeddings=2048, **parameters)
    assert found == expected
    assert from_gguf(YARN | scaling(attn_factor=0.5, **extra), DIM, 2048)[1].attention == (
        0.5 * expected.attention
    )


def test_factors_of_llama3():
    """The converter computes them; the frequencies are those of the parameters."""
    parameters = {
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    expected = frequencies(DIM, 5e5, hf("llama3", **parameters))
    factors = (frequencies(DIM, 5e5) / expected).astype(np.float32)
    assert factors.max() == 32
    fields = {"context_length": 131072, "rope.freq_base": 5e5}
    theta, found = from_gguf(fields, DIM, 2048, freqs=factors)
    np.testing.assert_allclose(frequencies(DIM, theta, found), expected, rtol=3e-7)


@pytest.mark.parametrize("kind", [{}, {"type": "longrope"}])
@pytest.mark.parametrize("context, factors", [(4096, SHORT), (4097, LONG)])
def test_longrope(kind, context, factors):
    """Phi-3: the type is not always written; the tensors say it."""
    fields = scaling(original_context_length=4096, attn_factor=1.19, **kind)
    theta, found = from_gguf(fields, DIM, context, long=LONG, short=SHORT)
    expected = hf(
        "longrope",
        context,
        short_factor=SHORT.tolist(),
        long_factor=LONG.tolist(),
        original_max_position_embeddings=4096,
        attention_factor=1.19,
    )
    assert (found.kind, found.factors, found.attention) == (
        "longrope",
        expected.factors,
        expected.attention,
    )
    np.testing.assert_array_equal(frequencies(DIM, theta, found), frequencies(DIM, theta, expected))
    assert found.factors == tuple(map(float, factors))


@pytest.mark.parametrize(
    "fields, tensors, message",
    [
        (
            scaling(type="ntk"),
            {},
            "'rope.scaling.type' must be none, linear, yarn or longrope, not 'ntk'",
        ),
        (
            scaling(alpha=2.0),
            {},
            "'rope.scaling.alpha' is not known, and may change what the model computes",
        ),
        (
            YARN | scaling(yarn_ext_factor=0.5),
            {},
            "'rope.scaling.yarn_ext_factor' must be 1.0, not 0.5",
        ),
        (scaling(factor="2"), {}, "'rope.scaling.factor' must be a number, not '2'"),
        (
            scaling(type="longrope"),
            {},
            "'rope.scaling.type' must not be longrope without tensors of RoPE factors",
        ),
        (
            scaling(),
            {"long": LONG},
            "RoPE factors must be long and short ones, or those of 'rope_freqs.weight'",
        ),
        (
            scaling(factor=4.0),
            {"long": LONG, "short": SHORT},
            "'rope.scaling.factor' must be 1.0 beside RoPE factors, not 4 of linear",
        ),
        (
            scaling(),
            {"freqs": SHORT[1:]},
            "'rope_freqs.weight' must be 32 numbers, one per frequency, not 31",
        ),
        ({}, {}, "'context_length' must be a number, not None"),
    ],
)
def test_refused(fields, tensors, message):
    with pytest.raises(ValueError) as error:
        from_gguf(fields, DIM, 2048, **tensors)
    assert str(error.value) == message
