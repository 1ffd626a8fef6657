"""A Llama of a few kilobytes, in files of any format."""

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type, GGUFValueType as Value

from .gguf_blocks import quantize


LAYERS, HIDDEN, HEADS, KV_HEADS, HEAD_DIM, FFN, VOCAB = 2, 64, 2, 1, 64, 128, 288
WIDE = dict(hidden=256, heads=4, ffn=256)  # for types with blocks of 256
MERGES = ["h e", "l l", "Ġ w", "he ll", "hell o", "o r", "Ġw or", "l d", "Ġwor ld"]


def tokens():
    """Tokens and their types: three special ones, every byte, what the merges make, filling."""
    letters = [
        chr(b) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174 else None for b in range(256)
    ]
    spare = iter(range(256, 512))
    alphabet = [c or chr(next(spare)) for c in letters]
    made = [merge.replace(" ", "") for merge in MERGES]
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *alphabet, *made]
    filling = [f"<unused{n}>" for n in range(VOCAB - len(names))]
    return names + filling, [3] * 3 + [1] * (256 + len(made)) + [5] * len(filling)


def shapes(hidden, heads, ffn):
    """Shapes of a layer's matrices by GGUF's names."""
    queries, keys = heads * HEAD_DIM, KV_HEADS * HEAD_DIM
    return {
        "attn_q": (queries, hidden),
        "attn_k": (keys, hidden),
        "attn_v": (keys, hidden),
        "attn_output": (hidden, queries),
        "ffn_gate": (ffn, hidden),
        "ffn_up": (ffn, hidden),
        "ffn_down": (hidden, ffn),
    }


def weights(seed=1, hidden=HIDDEN, heads=HEADS, ffn=FFN):
    """Float weights by GGUF's tensor names."""
    rng = np.random.default_rng(seed)

    def random(*shape):
        return rng.normal(0, 0.05, shape).astype(np.float32)

    out = {"token_embd.weight": random(VOCAB, hidden), "output_norm.weight": 1 + random(hidden)}
    for i in range(LAYERS):
        for name, shape in shapes(hidden, heads, ffn).items():
            out[f"blk.{i}.{name}.weight"] = random(*shape)
        for name in ("attn_norm", "ffn_norm"):
            out[f"blk.{i}.{name}.weight"] = 1 + random(hidden)
    return out


def metadata_of(arch="llama", hidden=HIDDEN, heads=HEADS, ffn=FFN):
    """The metadata of a good file."""
    names, types = tokens()
    return {
        f"{arch}.block_count": LAYERS,
        f"{arch}.context_length": 256,
        f"{arch}.embedding_length": hidden,
        f"{arch}.feed_forward_length": ffn,
        f"{arch}.attention.head_count": heads,
        f"{arch}.attention.head_count_kv": KV_HEADS,
        f"{arch}.attention.key_length": HEAD_DIM,
        f"{arch}.attention.value_length": HEAD_DIM,
        f"{arch}.rope.dimension_count": HEAD_DIM,
        f"{arch}.vocab_size": VOCAB,
        f"{arch}.rope.freq_base": 10000.0,
        f"{arch}.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.ggml.tokens": names,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": MERGES,
    }


VALUES = {
    bool: Value.BOOL,
    int: Value.UINT32,
    float: Value.FLOAT32,
    str: Value.STRING,
    list: Value.ARRAY,
}


def write(
    path, *, kind=Type.Q4_1, kinds={}, arch="llama", metadata={}, without=(), tensors=None, sizes={}
):
    """Write a GGUF of `sizes`, :data:`WIDE` or the small ones. Matrices are of the type `kind`, or
    what `kinds` says by name; `metadata` overrides or adds, None leaves a key out, (value, type)
    has a type that Python's does not say; `tensors` adds or replaces."""
    writer = gguf.GGUFWriter(path, arch)
    for key, value in {**metadata_of(arch, **sizes), **metadata}.items():
        if value is not None:
            value, value_type = value if isinstance(value, tuple) else (value, VALUES[type(value)])
            writer.kv_data[0].pop(key, None)  # the architecture is in it already
            writer.add_key_value(key, value, value_type)
    for name, values in {**weights(**sizes), **(tensors or {})}.items():
        if name in without:
            continue
        type_ = kinds.get(name, kind) if values.ndim == 2 else Type.F32
        if type_ == Type.F32:
            writer.add_tensor(name, values)
        elif type_ == Type.F16:
            writer.add_tensor(name, values.astype(np.float16))
        else:
            writer.add_tensor(name, quantize(values, type_), raw_dtype=type_)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
