"""Folders of random models that `transformers` makes and saves, to be read."""

import os

import gguf
import numpy as np
import torch
import transformers

from tests.mapper.read.hf_files import tokenizer


__all__ = ["IDS", "SIZES", "reference", "save"]


os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

# Weights large enough that attention is sharp: with small ones it is a mean, and hides everything.
Q8_0 = gguf.GGMLQuantizationType.Q8_0
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
GAINS = 0.3
POSITIONS = 60
IDS = [int(n) for n in np.random.default_rng(5).integers(3, 288, POSITIONS)]


def on_grid(weights):
    """Weights, (rows, K), rounded as Q8_0 has them, so that to round them again changes nothing."""
    return gguf.dequantize(gguf.quantize(np.ascontiguousarray(weights), Q8_0), Q8_0)


def model_of(config, options, bias=1.0, seed=0):
    """A model of a configuration's class, in float32. What norms have is
    a bit off what does nothing, biases of products are of the size `bias`, and weights are of Q8_0:
    a reader keeps them, so that an error is that of activations."""
    torch.manual_seed(seed)
    options = {key: value for key, value in (SIZES | options).items() if value is not None}
    config = getattr(transformers, config)(
        **options, pad_token_id=None, attn_implementation="eager"
    )
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():
        for name, module in model.named_modules():
            for parameter in module.parameters(recurse=False):
                if parameter.ndim == 1:
                    size = GAINS if "Norm" in type(module).__name__ else bias
                    parameter.add_(torch.randn_like(parameter) * size)
                elif "wpe" not in name:  # positions stay floats
                    turned = type(module).__name__ == "Conv1D"
                    values = parameter.T if turned else parameter
                    values = torch.from_numpy(on_grid(values.numpy()))
                    parameter.copy_(values.T if turned else values)
    return model


def save(folder, model):
    """Save a model, with a tokenizer beside it."""
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tokenizer().inner.to_str())
    return folder


def reference(model, ids=IDS):
    """Logits of all positions, float32 (positions, vocabulary)."""
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].numpy()
