"""Folders as Hugging Face has them, with the synthetic model's weights, to read."""

import json

import numpy as np
from safetensors.numpy import save_file

from host.language.tokenizer import Tokenizer
from mapper.families import FAMILIES, called
from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat

from .. import synthetic


CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "vocab_size": 288,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "hidden_act": "silu",
    "eos_token_id": 2,
    "bos_token_id": 1,
}

KINDS = " or ".join(map(repr, called("hf")))


def tensors():
    """The synthetic weights under Hugging Face's names, Q and K in its order."""
    out = {}
    for name, values in synthetic.weights().items():
        if name.endswith(("attn_q.weight", "attn_k.weight")):
            values = values.reshape(-1, 32, 2, 64).swapaxes(1, 2).reshape(values.shape)
        parts = name.split(".")
        if parts[0] == "blk":
            llama = FAMILIES["llama"]
            ours = {its.gguf: its.hf for its in (*llama.linears.values(), *llama.norms.values())}
            name = f"model.layers.{parts[1]}.{ours[parts[2]]}.weight"
        else:
            name = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}[
                parts[0]
            ] + ".weight"
        out[name] = np.ascontiguousarray(values)
    return out


def tokenizer():
    names, types = synthetic.tokens()
    what = {
        "model": "gpt2",
        "pre": "smollm",
        "tokens": names,
        "types": types,
        "merges": synthetic.MERGES,
    }
    return Tokenizer.from_json(json.dumps({"gguf": what}))


def write(folder, *, config={}, dtype=np.float32, without=(), shards=1, more={}):
    folder.mkdir(exist_ok=True)
    config = {k: v for k, v in {**CONFIG, **config}.items() if v is not None}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(tokenizer().inner.to_str())
    out = {k: v.astype(dtype) for k, v in {**tensors(), **more}.items() if k not in without}
    names = sorted(out)
    for n in range(shards):
        save_file({k: out[k] for k in names[n::shards]}, folder / f"model-{n}.safetensors")
    return folder


def native(fmt, seed=2):
    """Random integers of a format, and scales, under the same names."""
    rng, out = np.random.default_rng(seed), {}
    for name, values in tensors().items():
        if values.ndim == 1:
            out[name] = values
            continue
        which = WeightFormat.S8 if "embed" in name else fmt
        codes = FORMATS[which].grid(rng.choice(FORMATS[which].every_code, values.shape))
        out[name], out[f"{name}_scale"] = (
            codes.astype(np.int8),
            rng.normal(0, 0.01, len(values)).astype(np.float32),
        )
    return out


def write_native(folder, fmt, *, about={}, changes={}, without=()):
    """Write a folder of a format's integers; `changes` are functions of a tensor, by name."""
    write(
        folder,
        config={
            "quantization_config": {"quant_method": "headrace", "format": fmt.name.lower(), **about}
        },
    )
    (folder / "model-0.safetensors").unlink()
    made = {k: changes.get(k, lambda v: v)(v) for k, v in native(fmt).items() if k not in without}
    save_file(made, folder / "model.safetensors")
    return folder


def write_quantized(folder, case, parts, *, fused={}, about={}):
    """Write a folder of a :class:`.quantized.Case`: each of the layers' matrices has the codes,
    zero points and scales that `parts` makes of its name and shape. `fused` names modules that are
    written one below the other as another, all of them named without ``model.layers.N.``."""
    write(folder, config={"quantization_config": {**case.about, **about}})
    (folder / "model-0.safetensors").unlink()
    found, out = {}, {}
    for name, values in tensors().items():
        module = name.removesuffix(".weight")
        if values.ndim == 2 and "layers" in name:
            found[module] = parts(module, values.shape)
        else:
            out[name] = values
    for whole, modules in fused.items():
        for prefix in sorted({module.rpartition(".")[0].rpartition(".")[0] for module in found}):
            below = [found.pop(f"{prefix}.{module}") for module in modules]
            found[f"{prefix}.{whole}"] = tuple(np.concatenate(part) for part in zip(*below))
    for module, its in found.items():
        out |= {k: np.ascontiguousarray(v) for k, v in case.packed(module, *its).items()}
    save_file(out, folder / "model.safetensors")
    return folder
