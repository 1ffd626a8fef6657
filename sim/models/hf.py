"""Small random models of each family, which `transformers` makes and saves."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gguf
import numpy as np
import torch
import transformers
from tokenizers.pre_tokenizers import ByteLevel

from host.language.tokenizer import Tokenizer


__all__ = ["HF_MODELS", "PLAIN", "SIZES", "HfModel", "logits_of", "save"]


os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

Q8_0 = gguf.GGMLQuantizationType.Q8_0
# Weights large enough that attention is sharp: with small ones it is a mean, and hides everything.
SIZES = dict(
    vocab_size=288,
    hidden_size=128,
    intermediate_size=192,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=128,
    initializer_range=0.1,
    bos_token_id=1,
    eos_token_id=2,
)
GAINS = 0.3  # how far what norms have is off what does nothing


@dataclass(frozen=True, kw_only=True)
class HfModel:
    """A model that can be made.

    Attributes
    ----------
    family : :class:`str`
        Of :data:`mapper.families.FAMILIES`.
    config : :class:`str`
        The class of its configuration in `transformers`.
    options : mapping
        Arguments of that, besides :data:`SIZES`; those that are None are left out.
    bias : :class:`float`
        Size of products' biases.
    in_gguf : mapping
        Options instead, of what GGUF files cannot say, or llama.cpp does not do.
    """

    family: str
    config: str
    options: Mapping[str, Any] = field(default_factory=dict)
    bias: float = 1.0
    in_gguf: Mapping[str, Any] = field(default_factory=dict)

    def make(self, **more):
        """The model, in float32, with more options.

        Weights are of Q8_0: to round them again changes nothing, so that an error is that of
        activations.
        """
        torch.manual_seed(0)
        options = {k: v for k, v in (SIZES | dict(self.options) | more).items() if v is not None}
        config = getattr(transformers, self.config)(
            **options, pad_token_id=None, attn_implementation="eager"
        )
        model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
        with torch.no_grad():
            for name, module in model.named_modules():
                for parameter in module.parameters(recurse=False):
                    if parameter.ndim == 1:
                        size = GAINS if "Norm" in type(module).__name__ else self.bias
                        parameter.add_(torch.randn_like(parameter) * size)
                    elif "wpe" not in name:  # positions stay floats
                        turned = type(module).__name__ == "Conv1D"
                        values = parameter.T if turned else parameter
                        values = torch.from_numpy(on_grid(values.numpy()))
                        parameter.copy_(values.T if turned else values)
        return model


def on_grid(weights):
    """Weights, (rows, K), rounded to Q8_0."""
    return gguf.dequantize(gguf.quantize(np.ascontiguousarray(weights), Q8_0), Q8_0)


def tokenizer():
    """The JSON of a tokenizer of bytes."""
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *sorted(ByteLevel.alphabet()), "he"]
    names += [f"<unused{n}>" for n in range(SIZES["vocab_size"] - len(names))]
    types = [3] * 3 + [1] * 257 + [5] * (len(names) - 260)
    what = {"model": "gpt2", "pre": "smollm", "tokens": names, "types": types, "merges": ["h e"]}
    return Tokenizer.from_json(json.dumps({"gguf": what})).inner.to_str()


def save(folder, model):
    """Save a model, with a tokenizer beside it; returns the folder."""
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tokenizer())
    return folder


def logits_of(model, ids):
    """Logits of all positions, float32 (positions, vocabulary)."""
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()


HEAD = dict(head_dim=64)
PLAIN = HfModel(family="llama", config="LlamaConfig", options=HEAD)


def scaled(kind, **more):
    """A Llama whose RoPE is scaled."""
    rope = {"rope_type": kind, "rope_theta": 10000.0, **more}
    return HfModel(family="llama", config="LlamaConfig", options={**HEAD, "rope_parameters": rope})


# By what they are like; the first of a family is its usual one. llama.cpp has no windows of Llamas
# and of Qwens, turns off those of Phi-3, scales scores by the size of heads, leaves positions out
# of every fourth layer, and ties the heads of BitNets.
HF_MODELS = {
    "tinyllama": PLAIN,
    "llama2": HfModel(family="llama", config="LlamaConfig", options=dict(num_key_value_heads=4)),
    "llama3.1": scaled(
        "llama3",
        factor=8.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=32,
    ),
    "llama linear": scaled("linear", factor=4.0),
    "llama yarn": scaled("yarn", factor=4.0, original_max_position_embeddings=32),
    "llama with biases": HfModel(
        family="llama",
        config="LlamaConfig",
        options=dict(**HEAD, attention_bias=True, mlp_bias=True, initializer_range=0.15),
    ),
    "smollm2": HfModel(
        family="llama", config="LlamaConfig", options=dict(tie_word_embeddings=True)
    ),
    "smollm3": HfModel(
        family="smollm3",
        config="SmolLM3Config",
        options=dict(
            num_hidden_layers=4, no_rope_layer_interval=2, rope_parameters={"rope_theta": 10000.0}
        ),
        in_gguf=dict(no_rope_layer_interval=4),
    ),
    "mistral": HfModel(
        family="mistral",
        config="MistralConfig",
        options=dict(**HEAD, sliding_window=20),
        in_gguf=dict(sliding_window=None),
    ),
    "ministral": HfModel(
        family="mistral",
        config="MinistralConfig",
        options=dict(
            **HEAD,
            num_hidden_layers=4,
            sliding_window=20,
            layer_types=["full_attention", *["sliding_attention"] * 3],
        ),
    ),
    "qwen2": HfModel(
        family="qwen2",
        config="Qwen2Config",
        options=dict(use_sliding_window=True, sliding_window=20, max_window_layers=1),
        in_gguf=dict(use_sliding_window=False),
    ),
    "qwen2.5": HfModel(family="qwen2", config="Qwen2Config"),
    "qwen3": HfModel(
        family="qwen3", config="Qwen3Config", options=dict(**HEAD, tie_word_embeddings=True)
    ),
    "phi3": HfModel(
        family="phi3",
        config="Phi3Config",
        options=dict(sliding_window=20),
        in_gguf=dict(sliding_window=None),
    ),
    "phi4-mini": HfModel(
        family="phi3",
        config="Phi3Config",
        options=dict(
            head_dim=32,
            partial_rotary_factor=0.75,
            original_max_position_embeddings=32,
            rope_parameters={
                "rope_type": "longrope",
                "rope_theta": 10000.0,
                "partial_rotary_factor": 0.75,
                "short_factor": [1.0] * 12,
                "long_factor": [1.0 + n for n in range(12)],
                "original_max_position_embeddings": 32,
            },
            tie_word_embeddings=True,
        ),
    ),
    "gemma": HfModel(family="gemma", config="GemmaConfig", options=HEAD),
    "gemma2": HfModel(
        family="gemma2",
        config="Gemma2Config",
        options=dict(
            **HEAD,
            sliding_window=20,
            attn_logit_softcapping=2.0,
            final_logit_softcapping=2.0,
            query_pre_attn_scalar=4,
        ),
        in_gguf=dict(query_pre_attn_scalar=64),
    ),
    "gemma3": HfModel(
        family="gemma3",
        config="Gemma3TextConfig",
        options=dict(**HEAD, num_hidden_layers=6, sliding_window=20, query_pre_attn_scalar=24),
        in_gguf=dict(query_pre_attn_scalar=64),
    ),
    "olmo2": HfModel(family="olmo2", config="Olmo2Config"),
    "granite": HfModel(
        family="granite",
        config="GraniteConfig",
        options=dict(
            embedding_multiplier=12.0,
            attention_multiplier=0.8,
            residual_multiplier=0.5,
            logits_scaling=8.0,
        ),
    ),
    "stablelm": HfModel(
        family="stablelm",
        config="StableLmConfig",
        options=dict(use_qkv_bias=True, partial_rotary_factor=0.5, initializer_range=0.15),
    ),
    "stablelm parallel": HfModel(
        family="stablelm", config="StableLmConfig", options=dict(use_parallel_residual=True)
    ),
    "starcoder2": HfModel(
        family="starcoder2",
        config="Starcoder2Config",
        options=dict(sliding_window=20, initializer_range=0.2),
        bias=1.7,
        in_gguf=dict(sliding_window=None),
    ),
    "gpt2": HfModel(
        family="gpt2",
        config="GPT2Config",
        options=dict(
            activation_function="gelu_new",
            num_key_value_heads=None,
            intermediate_size=None,
            initializer_range=0.2,
        ),
    ),
    "gptneox": HfModel(
        family="gptneox",
        config="GPTNeoXConfig",
        options=dict(rotary_pct=0.75, num_key_value_heads=None, initializer_range=0.175),
        bias=2.0,
    ),
    "gptneox serial": HfModel(
        family="gptneox",
        config="GPTNeoXConfig",
        options=dict(use_parallel_residual=False, intermediate_size=512, num_key_value_heads=None),
    ),
    "helium": HfModel(family="helium", config="HeliumConfig", options=dict(head_dim=32)),
    "bitnet": HfModel(
        family="bitnet",
        config="BitNetConfig",
        in_gguf=dict(tie_word_embeddings=True),
    ),
}
