"""What a `config.json` says is understood, or refused in one line."""

import json
from functools import cache
from random import Random

import numpy as np
import pytest
from gguf import GGUFValueType as Value

from host.errors import UserError
from mapper.families import FAMILIES
from mapper.later import what_is
from mapper.read import gguf_model, hf_model
from sim.models.hf import HF_MODELS, logits_of, save
from sw_ref.float32 import Float32

from ...chosen import cases
from .. import synthetic
from .models import CHOSEN, IDS, KEPT, folder


pytestmark = pytest.mark.seconds(1)  # with transformers, which `make check` leaves out


@cache
def saved(name):
    """A model's folder, its configuration, and what makes models of others."""
    model = HF_MODELS[name].make()
    path = save(folder(), model)
    return path, json.loads((path / "config.json").read_text()), model


def read(name, config):
    """The model, with another `config.json`."""
    path, kept, _ = saved(name)
    (path / "config.json").write_text(json.dumps(config))
    try:
        return hf_model.read(path)
    finally:
        (path / "config.json").write_text(json.dumps(kept))


def refusal(name, config):
    """The one line with which a configuration is refused, without the path."""
    with pytest.raises(UserError) as caught:
        read(name, config)
    text, path = str(caught.value), str(saved(name)[0])
    assert text.startswith(path) and "\n" not in text and len(text) < 600
    return text[len(path) :]


# Fields of published files, with values that change nothing.
PUBLISHED = {
    "tinyllama": {"pretraining_tp": 2, "rope_scaling": None, "is_llama_config": True},
    "gemma3": {"cache_implementation": "hybrid", "attn_logit_softcapping": None},
    "gpt2": {"n_ctx": 128, "task_specific_params": {"text-generation": {"max_length": 50}}},
    "phi4-mini": {"full_attn_mod": 1, "interpolate_factor": 1, "lm_head_bias": False},
    "gptneox": {"rotary_emb_base": 10000, "gradient_checkpointing": False},
    "stablelm": {"rotary_scaling_factor": 1.0, "use_qkv_bias": True},
    "starcoder2": {"norm_type": "layer_norm", "mlp_type": "default"},
    "smollm3": {"max_window_layers": 28, "_attn_implementation_autoset": True},
}


@pytest.mark.parametrize("name", cases(PUBLISHED, KEPT))
def test_published_fields(name):
    config = saved(name)[1]
    assert read(name, config | PUBLISHED[name]).shape == read(name, config).shape


@pytest.mark.parametrize("name", cases(HF_MODELS, KEPT))
@pytest.mark.parametrize(
    "key, value",
    [("attention_sinks", 4), ("normalize_twice", True), ("alibi_slopes", [0.5]), ("temp", "hot")],
)
def test_unknown_fields(name, key, value):
    assert refusal(name, saved(name)[1] | {key: value}) == (
        f"/config.json: field {key!r} is not known, and may change what the model computes; this "
        "model cannot be mapped yet"
    )


@pytest.mark.seconds(2)
@pytest.mark.parametrize("name", cases(HF_MODELS, KEPT))
def test_fields_that_are_missing(name):
    """Are what `transformers` takes for them, or the file is refused."""
    _, config, made = saved(name)
    same, whole, plain = 0, read(name, config), logits_of(made, IDS)
    # Of what RoPE parameters say again, `transformers` takes another value in one of two places.
    twice = config.get("rope_parameters", {}).keys()
    for key in config.keys() - {"model_type", "architectures", "dtype", "pad_token_id"} - twice:
        rest = {k: v for k, v in config.items() if k != key}
        try:
            model = read(name, rest)
        except UserError:
            continue
        theirs = type(made.config).from_dict(rest)
        theirs._attn_implementation = "eager"
        try:
            other = type(made)(theirs).eval()
            other.load_state_dict(made.state_dict())
            expected = logits_of(other, IDS)
        except (RuntimeError, TypeError):  # their code runs no such model
            continue
        got = plain if model.shape == whole.shape else next(iter(Float32(model)([IDS])))
        assert np.linalg.norm(got - expected) < 1e-3 * np.linalg.norm(expected), key
        same += 1
    assert same > 5


def plus(*keys, by=1):
    """Sizes that are not those of the tensors."""
    return [lambda c, key=key: {key: c[key] + by} if key in c else None for key in keys]


def each(key, *values):
    return [lambda c, value=value: {key: value} for value in values]


def rope(**parameters):
    """RoPE parameters, of whatever layers have them."""

    def of(config):
        if "rope_parameters" not in config:
            return None
        its = config["rope_parameters"]
        if "full_attention" in its:
            return {"rope_parameters": its | {"full_attention": parameters}}
        return {"rope_parameters": parameters}

    return [of]


SIZES = (
    *("hidden_size", "num_attention_heads", "intermediate_size", "num_hidden_layers"),
    *("vocab_size", "n_embd", "n_head", "n_layer", "n_positions", "num_key_value_heads"),
)
WRONG = (-1, 1.5, "4", True, [4], 1 << 40, {"a": 1})
CONTRADICTIONS = [
    *plus(*SIZES),
    *plus("hidden_size", "intermediate_size", "n_embd", "num_hidden_layers", by=32),
    *(
        lambda c, key=key, value=value: {key: value} if key in c else None
        for key in (*SIZES, "max_position_embeddings", "head_dim")
        for value in (0, *WRONG)
    ),
    *(
        lambda c, key=key, value=value: {key: value} if key in c else None
        for key in ("rms_norm_eps", "layer_norm_epsilon", "norm_epsilon")
        for value in (0, -1e-5, 2.0, "small", True, [1e-5], 1e400, float("nan"))
    ),
    *each("model_type", 3, ["llama"], "llama5", {}, True),
    *each("sliding_window", *WRONG),
    *each("layer_types", "full_attention", ["full_attention"], [1, 2, 3], ["chunked"] * 3),
    *each("partial_rotary_factor", 2, -0.5, "half", 0.001, [0.5], float("nan")),
    *each("tie_word_embeddings", "yes", 1, [True]),
    *each("quantization_config", "int4", {"quant_method": "nothing"}, {"bits": 4}, [1]),
    *each("eos_token_id", 1 << 30, "</s>", [1, -4], True),
    *each("attention_bias", "yes", 1),
    *each("num_local_experts", 8, "many"),
    *each("no_rope_layers", [1], "all", [2, 3]),
    *each("attn_logit_softcapping", -1.0, "soft", True),
    *each("query_pre_attn_scalar", 0, -4, "x"),
    *each("use_parallel_residual", "yes", 3),
    *each("rope_scaling", "linear", [2.0], {"type": "linear", "rope_type": "yarn", "factor": 2.0}),
    *rope(rope_type="linear", rope_theta=1e4),
    *rope(rope_type="linear", rope_theta=1e4, factor=-2.0),
    *rope(rope_type="linear", rope_theta=1e4, factor=float("nan")),
    *rope(rope_type="linear", type="yarn", rope_theta=1e4, factor=2.0),
    *rope(rope_type="linear", rope_theta=1e4, factor=2.0, long_factor=[1.0]),
    *rope(rope_type="spiral", rope_theta=1e4),
    *rope(rope_type="default", rope_theta=0.0),
    *rope(rope_type="default", rope_theta="big"),
    *rope(rope_type="llama3", rope_theta=1e4, factor=8.0),
    *rope(
        rope_type="llama3",
        rope_theta=1e4,
        factor=8.0,
        low_freq_factor=4.0,
        high_freq_factor=1.0,
        original_max_position_embeddings=32,
    ),
    *rope(rope_type="longrope", rope_theta=1e4, factor=2.0, short_factor=[1.0], long_factor=[1.0]),
    *rope(rope_type="yarn", rope_theta=1e4, factor=2.0, beta_fast=1.0, beta_slow=32.0),
    *rope(rope_type="default", rope_theta=1e4, partial_rotary_factor=2.0),
]
COUNT = 200


def contradictory():
    """Variants, and fields that contradict what they are."""
    made = [
        (name, changes)
        for name in CHOSEN
        for contradiction in CONTRADICTIONS
        if (changes := contradiction(saved(name)[1])) is not None
    ]
    return Random(1).sample(made, COUNT)


@pytest.mark.seconds(4)
def test_contradictory_configs():
    taken = []
    for name, changes in contradictory():
        try:
            read(name, saved(name)[1] | changes)
            taken.append((name, changes))
        except UserError as error:
            text = str(error)
            assert text.startswith(str(saved(name)[0])) and "\n" not in text, changes
    assert not taken


@pytest.mark.parametrize(
    "architecture, what",
    [
        *((name, "a mixture of experts") for name in ("mixtral", "qwen2_moe", "qwen3moe")),
        *((name, "a mixture of experts") for name in ("gpt_oss", "gpt-oss", "deepseek_v3")),
        *((name, "a mixture of experts") for name in ("deepseek2", "granitemoe", "olmoe")),
        *((name, "a mixture of experts") for name in ("phimoe", "llama4", "dbrx", "grok")),
        *((name, "a model with recurrent layers") for name in ("mamba", "mamba2", "rwkv7")),
        *((name, "a model with recurrent layers") for name in ("falcon_h1", "falcon-h1")),
        *((name, "a mixture of experts with recurrent layers") for name in ("jamba", "qwen3_next")),
        ("gemma3n", "a model with embeddings in each layer"),
    ],
)
def test_refused_by_what_it_is(tmp_path, architecture, what):
    said = f": the architecture {architecture!r} is {what}, which is not mapped yet"
    config = saved("tinyllama")[1] | {"model_type": architecture}
    assert refusal("tinyllama", config) == f"/config.json{said}"
    path = synthetic.write(tmp_path / "m.gguf", arch=architecture)
    with pytest.raises(UserError) as caught:
        gguf_model.read(path)
    assert str(caught.value) == f"{path}{said}"


def test_no_family_is_for_later():
    """But for Gemma 3 of pictures and text, which is a `gemma3` in a `config.json` alone."""
    names = {
        name for its in FAMILIES.values() for kind in ("gguf", "hf") for name in its.called(kind)
    }
    assert {name for name in names if what_is(name)} == {"gemma3"}
    assert what_is("llama5") is what_is(3) is None


@pytest.mark.parametrize("key, value", [("expert_count", 8), ("expert_gating_func", 2)])
def test_experts_of_a_llama(tmp_path, key, value):
    """Mixtral is a Llama in GGUF."""
    path = synthetic.write(tmp_path / "m.gguf", metadata={f"llama.{key}": (value, Value.UINT32)})
    with pytest.raises(
        UserError, match=f"'llama.{key}' .*; a mixture of experts is not mapped yet$"
    ):
        gguf_model.read(path)
