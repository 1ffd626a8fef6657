"""Read Llama-family models from a Hugging Face folder: `config.json` and safetensors."""

import hashlib
import json
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from host.errors import UserError

from .model import Layer, Layers, Model, round_s8, round_u4


__all__ = ["read"]


PARTS = {"q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj",
         "o": "self_attn.o_proj", "gate": "mlp.gate_proj", "up": "mlp.up_proj",
         "down": "mlp.down_proj"}
NORMS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
DTYPES = {"F32": ("<f4", 4), "F16": ("<f2", 2), "BF16": ("<u2", 2)}

# What changes the computation, and the only value that is mapped.
FIXED = {"model_type": "llama", "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
         "rope_scaling": None, "pretraining_tp": 1}


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies in a file that is mapped into memory."""
    name: str
    path: Path
    data: mmap.mmap
    dtype: str
    shape: tuple[int, ...]
    start: int

    def floats(self):
        """The values, float32."""
        dtype, _ = DTYPES[self.dtype]
        count = int(np.prod(self.shape))
        values = np.frombuffer(self.data, dtype, count, self.start)
        if self.dtype == "BF16":
            values = (values.astype("<u4") << 16).view("<f4")
        values = values.astype(np.float32).reshape(self.shape)
        if not np.isfinite(values).all():
            raise UserError(f"{self.path}: tensor {self.name!r} must be finite, it has infinities or "
                            "NaNs; get the file again")
        return values


def read_json(path, kind=dict):
    """The JSON object in a file."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: must be JSON: {error}; get the file again") from None
    if not isinstance(value, kind):
        raise UserError(f"{path}: must be a JSON {kind.__name__}, not {str(value)[:40]!r}")
    return value


def safetensors(path, digest):
    """Yield the :class:`Tensor`s of a file. `digest` is told its content."""
    def damaged(what):
        raise UserError(f"{path}: the safetensors file is damaged: {what}; get it again")

    try:
        with open(path, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        damaged("it is empty")
    digest.update(data)
    size = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else 0
    if not 2 <= size <= len(data) - 8:
        damaged(f"its header needs {size} bytes, there are {len(data)}")
    try:
        header = json.loads(data[8:8 + size])
        header.pop("__metadata__", None)
        for name, about in header.items():
            dtype, shape, (start, end) = about["dtype"], tuple(about["shape"]), about["data_offsets"]
            if dtype not in DTYPES:
                raise UserError(f"{path}: tensor {name!r} must be {', '.join(DTYPES)}, not {dtype!r}; "
                                "convert the model to one of these")
            elements = 1
            for length in (*shape, start):
                if not isinstance(length, int) or length < 0:
                    damaged(f"tensor {name!r} has the shape {list(shape)} at {start!r}")
            for length in shape:
                elements *= length
            start, end = 8 + size + start, 8 + size + end
            if end - start != elements * DTYPES[dtype][1] or end > len(data):
                damaged(f"tensor {name!r} is {list(shape)} {dtype} in bytes {start} to {end} of "
                        f"{len(data)}")
            yield Tensor(name, path, data, dtype, shape, start)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        damaged("its header is not what a safetensors header must be")


class Folder:
    """A model's folder: `config` and `tensors` by name."""
    def __init__(self, path):
        self.path, self.file = Path(path), Path(path) / "config.json"
        self.config = read_json(self.file)
        digest = hashlib.sha256(self.file.read_bytes())
        files = sorted(self.path.glob("*.safetensors"))
        if not files:
            raise UserError(f"{path}: there must be a .safetensors file, there is none")
        self.tensors = {t.name: t for f in files for t in safetensors(f, digest)}
        self.sha256 = digest.hexdigest()

    def number(self, key, kind=int, default=None):
        """A number of the configuration."""
        value = self.config.get(key)
        value = default if value is None else value
        if value is None:
            raise UserError(f"{self.file}: {key!r} is missing")
        if isinstance(value, bool) or not isinstance(value, (int, kind)) or not value > 0:
            raise UserError(f"{self.file}: {key!r} must be a positive {kind.__name__}, not {value!r}")
        return kind(value)

    def find(self, name, shape):
        """The tensor of a name, whose shape must be `shape`."""
        if name not in self.tensors:
            raise UserError(f"{self.path}: tensor {name!r} is missing")
        tensor = self.tensors[name]
        if tensor.shape != shape:
            raise UserError(f"{tensor.path}: tensor {name!r} must have the shape {list(shape)} by "
                            f"config.json, not {list(tensor.shape)}")
        return tensor

    def special(self, key, vocab):
        """Token ids under a key: none, one or several."""
        value = self.config.get(key)
        ids = [] if value is None else value if isinstance(value, list) else [value]
        for token in ids:
            if isinstance(token, bool) or not isinstance(token, int) or token not in range(vocab):
                raise UserError(f"{self.file}: {key!r} must be below {vocab}, not {token!r}")
        return tuple(ids)

    def optional(self, name):
        """A JSON file that may be missing."""
        return read_json(self.path / name) if (self.path / name).exists() else {}


def rope_theta(folder):
    """RoPE's base, from either place that configurations have it in."""
    rope = folder.config.get("rope_parameters")
    if isinstance(rope, dict):
        if rope.get("rope_type", "default") != "default":
            raise UserError(f"{folder.file}: 'rope_type' must be 'default', not {rope['rope_type']!r}; "
                            "this model cannot be mapped yet")
        folder.config.setdefault("rope_theta", rope.get("rope_theta"))
    return folder.number("rope_theta", float, 10000.0)


def read(path, bits=8):
    """Read the :class:`Model` in a folder, its weights rounded to `bits` bits, 4 or 8.

    The embedding and the head are always rounded to 8.
    """
    if bits not in (4, 8):
        raise UserError(f"{path}: weights must be rounded to 4 or 8 bits, not {bits}")
    folder = Folder(path)
    for key, value in FIXED.items():
        if folder.config.get(key, value if key != "model_type" else None) != value:
            raise UserError(f"{folder.file}: {key!r} must be {value!r}, not "
                            f"{folder.config.get(key)!r}; this model cannot be mapped yet")
    hidden, heads = folder.number("hidden_size"), folder.number("num_attention_heads")
    shape = dict(hidden=hidden, heads=heads, ffn=folder.number("intermediate_size"),
                 kv_heads=folder.number("num_key_value_heads", default=heads),
                 head_dim=folder.number("head_dim", default=max(1, hidden // heads)))
    vocab, count = folder.number("vocab_size"), folder.number("num_hidden_layers")
    if count > 1024:
        raise UserError(f"{folder.file}: 'num_hidden_layers' must be at most 1024, not {count}")

    matrices = Model.shapes(**shape)
    found = [({n: folder.find(f"model.layers.{i}.{p}.weight", matrices[n]) for n, p in PARTS.items()},
              {n: folder.find(f"model.layers.{i}.{p}.weight", (hidden,)) for n, p in NORMS.items()})
             for i in range(count)]
    embedding = folder.find("model.embed_tokens.weight", (vocab, hidden))
    tied = folder.config.get("tie_word_embeddings", False)
    head = None if tied else folder.find("lm_head.weight", (vocab, hidden))
    norm = folder.find("model.norm.weight", (hidden,))
    used = {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"}
    used |= {t.name for parts in found for part in parts for t in part.values()}
    for name in folder.tensors:
        if name not in used and not name.endswith("rotary_emb.inv_freq"):
            raise UserError(f"{folder.tensors[name].path}: tensor {name!r} has no place in a Llama of "
                            f"{count} layers without biases; this model cannot be mapped")

    rounding = round_s8 if bits == 8 else round_u4

    def matrix(tensor, how):
        return how(tensor.name, tensor.dtype, tensor.floats())

    def load(index):
        linears, norms = found[index]
        return Layer(linears={n: matrix(t, rounding) for n, t in linears.items()},
                     **{n: t.floats() for n, t in norms.items()})

    about = folder.optional("tokenizer_config.json")
    bos = folder.special("bos_token_id", vocab)[:1] if about.get("add_bos_token") else ()
    eos = {**folder.config, **folder.optional("generation_config.json")}.get("eos_token_id")
    folder.config["eos_token_id"] = eos
    template = about.get("chat_template")
    jinja = folder.path / "chat_template.jinja"
    if jinja.exists():
        template = jinja.read_text("utf-8", "replace")
    return Model(
        name=folder.path.resolve().name, path=str(path), sha256=folder.sha256, vocab=vocab,
        context=folder.number("max_position_embeddings"), rope_theta=rope_theta(folder),
        rms_eps=folder.number("rms_norm_eps", float), eos=folder.special("eos_token_id", vocab),
        bos=bos[0] if bos else None, chat_template=template if isinstance(template, str) else None,
        tokenizer=json.dumps({"huggingface": read_json(folder.path / "tokenizer.json")},
                             ensure_ascii=False),
        layers=Layers(count, load), norm=norm.floats(),
        load_embedding=lambda: matrix(embedding, round_s8),
        load_head=None if tied else lambda: matrix(head, round_s8), **shape)
