"""A model's folder: written for the mapper, and read back into PyTorch."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from . import blocks, rounding
from .errors import TrainingError
from .llama import Llama, Shape
from .text import EOS


__all__ = ["GGUF", "history", "read", "tensors", "write"]


GGUF = "model.gguf"  # in the folder of a model whose weights are in a type of GGUF


def tensors(model):
    """What `model.safetensors` holds: integer codes and a float32 scale a row, and float32 norms.

    A weight is code * scale[row].
    """
    out = {}

    def matrix(name, w, form):
        q, s = rounding.codes(w.detach().float(), form)
        out[f"model.{name}.weight"] = q.to(torch.int8).contiguous()
        out[f"model.{name}.weight_scale"] = s[:, 0].contiguous()

    for name, linear in model.linears.items():
        w = linear.weight if linear.mask is None else linear.weight * linear.mask
        matrix(name, w, model.form)
    matrix("embed_tokens", model.embed_tokens.weight, "sparse8")
    for name, p in model.named_parameters():
        if p.dim() == 1:
            out[f"model.{name}"] = p.detach().float().contiguous()
    return out


def config(model, end):
    """Hugging Face's `config.json`, and what the codes are."""
    shape = model.shape
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "vocab_size": shape.vocab,
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.rms_eps,
        "rope_theta": shape.rope_theta,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": None,
        "eos_token_id": end,
        "quantization_config": {"quant_method": "headrace", "format": model.form},
    }


def write(folder, model, tokenizer):
    """Write the folder that :func:`mapper.read.hf_model.read` takes; or, where weights are in a
    type of GGUF, a file for :func:`mapper.read.gguf_model.read` in it."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if model.form in blocks.TYPES:
        from . import gguf_file  # the only one that needs the library

        gguf_file.write(folder / GGUF, folder.name, model, tokenizer, EOS)
        return

    def as_json(name, value):
        (folder / name).write_text(json.dumps(value, indent=2) + "\n", "utf-8")

    save_file(tensors(model), folder / "model.safetensors", {"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    as_json("config.json", config(model, tokenizer.token_to_id(EOS)))
    as_json(
        "tokenizer_config.json",
        {
            "add_bos_token": False,
            "bos_token": None,
            "eos_token": EOS,
            "model_max_length": model.shape.context,
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
    )
    tokenizer.save(str(folder / "tokenizer.json"))


def history(folder):
    """What `training.json` says of the run that wrote a folder."""
    path = Path(folder) / "training.json"
    try:
        about = json.loads(path.read_text("utf-8"))
        about["curve"][-1]  # one is written when a run ends
        return about
    except (OSError, ValueError, LookupError, TypeError):
        raise TrainingError(
            f"{path}: must be what a run that ended left there; run it to its end"
        ) from None


def read(folder):
    """The :class:`Llama` of a folder, its weights float32 (codes * scale), nothing rounded
    further.
    """
    folder = Path(folder)
    about = json.loads((folder / "config.json").read_text("utf-8"))
    model = Llama(
        Shape(
            vocab=about["vocab_size"],
            hidden=about["hidden_size"],
            heads=about["num_attention_heads"],
            kv_heads=about["num_key_value_heads"],
            layers=about["num_hidden_layers"],
            ffn=about["intermediate_size"],
            context=about["max_position_embeddings"],
            rope_theta=about["rope_theta"],
            rms_eps=about["rms_norm_eps"],
        )
    )
    stored = load_file(folder / "model.safetensors")
    state = {}
    for name, value in stored.items():
        if not name.endswith("_scale"):
            s = stored.get(f"{name}_scale")
            state[name.removeprefix("model.")] = value if s is None else value.float() * s[:, None]
    model.load_state_dict(state)
    return model.eval()
