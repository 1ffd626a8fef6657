"""Read Llama-family models from a Hugging Face folder: `config.json` and safetensors.

Weights are floats, which are rounded here, or they are in the machine's own numbers, for models that
were trained in them. Then `config.json` has the entry
``"quantization_config": {"quant_method": "headrace", "format": "ternary"}``, with a format of
:mod:`rtl.formats` in small letters; each matrix is a tensor of int8 integers, and beside `NAME` there
is `NAME_scale`, one float per row. A weight is integer * scale, in every format: the integers of ``u2``,
for one, are -3, -1, 1 and 3. The embedding and the head have the integers of ``s8``.
"""

import hashlib
import json
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from host.errors import UserError
from rtl.isa import WeightFormat

from .model import ODD, RANGES, Layer, Layers, Linear, Model, round_s8, round_u


__all__ = ["read"]


PARTS = {"q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj",
         "o": "self_attn.o_proj", "gate": "mlp.gate_proj", "up": "mlp.up_proj",
         "down": "mlp.down_proj"}
NORMS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
FLOATS = {"F32": ("<f4", 4), "F16": ("<f2", 2), "BF16": ("<u2", 2)}
DTYPES = FLOATS | {"I8": ("i1", 1)}
METHOD = "headrace"                                          # of quantization, when it is ours
NATIVE = {fmt.name.lower(): fmt for fmt in WeightFormat}     # its formats
BITS = (*sorted(ODD), 8)                                            # that floats can be rounded to

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

    def raw(self, dtypes, hint):
        """The values as they are stored, of one of these types."""
        if self.dtype not in dtypes:
            raise UserError(f"{self.path}: tensor {self.name!r} must be {', '.join(dtypes)}, not "
                            f"{self.dtype!r}; {hint}")
        values = np.frombuffer(self.data, DTYPES[self.dtype][0], int(np.prod(self.shape)), self.start)
        return values.reshape(self.shape)

    def floats(self):
        """The values, float32."""
        values = self.raw(FLOATS, "convert the model to one of these")
        if self.dtype == "BF16":
            values = (values.astype("<u4") << 16).view("<f4")
        values = values.astype(np.float32)
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

    @property
    def native(self):
        """Format of the machine's own integers that the weights are in; None when they are floats."""
        about = self.config.get("quantization_config")
        if about is None:
            return None
        if not isinstance(about, dict) or about.get("quant_method") != METHOD:
            method = about.get("quant_method") if isinstance(about, dict) else about
            raise UserError(f"{self.file}: 'quant_method' must be {METHOD!r}, not {str(method)[:40]!r}; take "
                            "this model's float weights instead")
        name = about.get("format")
        if not isinstance(name, str) or name not in NATIVE:
            raise UserError(f"{self.file}: 'format' must be one of {', '.join(NATIVE)}, not {str(name)[:40]!r}")
        return NATIVE[name]

    def matrix(self, name, shape):
        """The tensors of a matrix: one, or integers and their scales."""
        tensors = [self.find(name, shape)]
        if self.native is not None:
            tensors.append(self.find(f"{name}_scale", shape[:1]))
        return tensors

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


def integers(tensor, scale, fmt):
    """A matrix in the machine's own integers of a format."""
    codes = tensor.raw(["I8"], "weights of this 'quant_method' are integers")
    low, high = RANGES[fmt]
    odd = fmt in ODD.values()
    if odd:
        low = -high
    outside = (codes < low) | (codes > high)
    if odd:
        outside |= codes % 2 == 0
    if outside.any():
        row, column = np.argwhere(outside)[0]
        kind = "odd integers" if odd else "integers"
        raise UserError(f"{tensor.path}: tensor {tensor.name!r} must have {kind} from {low} to {high}, as "
                        f"{fmt.name.lower()} has, not {codes[row, column]} in row {row}, column {column}")
    if odd:
        codes = (codes + np.int16(high) >> 1).astype(np.uint8)
    return Linear(name=tensor.name, source=fmt.name, format=fmt, codes=codes, d=scale.floats()[:, None])


def rounded(tensor, bits):
    """A matrix of floats, rounded."""
    if bits == 8:
        return round_s8(tensor.name, tensor.dtype, tensor.floats())
    return round_u(tensor.name, tensor.dtype, tensor.floats(), bits)


def read(path, bits=8):
    """Read the :class:`Model` in a folder, its weights, where they are floats, rounded to `bits` bits.

    The embedding and the head are always rounded to 8.
    """
    if bits not in BITS:
        raise UserError(f"{path}: weights must be rounded to {', '.join(map(str, BITS))} bits, not {bits}")
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
    found = [({n: folder.matrix(f"model.layers.{i}.{p}.weight", matrices[n]) for n, p in PARTS.items()},
              {n: folder.find(f"model.layers.{i}.{p}.weight", (hidden,)) for n, p in NORMS.items()})
             for i in range(count)]
    embedding = folder.matrix("model.embed_tokens.weight", (vocab, hidden))
    tied = folder.config.get("tie_word_embeddings", False)
    head = None if tied else folder.matrix("lm_head.weight", (vocab, hidden))
    norm = folder.find("model.norm.weight", (hidden,))
    used = {"model.norm.weight", "lm_head.weight", "lm_head.weight_scale", *(t.name for t in embedding)}
    for linears, norms in found:
        used |= {t.name for tensors in linears.values() for t in tensors} | {t.name for t in norms.values()}
    for name in folder.tensors:
        if name not in used and not name.endswith("rotary_emb.inv_freq"):
            raise UserError(f"{folder.tensors[name].path}: tensor {name!r} has no place in a Llama of "
                            f"{count} layers without biases; this model cannot be mapped")

    def matrix(tensors, fmt, bits):
        return rounded(*tensors, bits) if fmt is None else integers(*tensors, fmt)

    def vocabulary(tensors):
        return matrix(tensors, None if folder.native is None else WeightFormat.S8, 8)

    def load(index):
        linears, norms = found[index]
        return Layer(linears={n: matrix(t, folder.native, bits) for n, t in linears.items()},
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
        load_embedding=lambda: vocabulary(embedding),
        load_head=None if tied else lambda: vocabulary(head), **shape)
