"""Broken GGUF files of every kind.

Each is refused in one line, or read as GGUF's own reader reads it, and compiled: no case may raise
anything but a :exc:`UserError`.
"""

import json
import re
import struct
from random import Random

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type, GGUFValueType as Value

from host.errors import UserError
from mapper.read.find import load
from mapper.read.gguf_types import REFUSED, TYPES

from .. import synthetic
from ..gguf_blocks import SCALES, dequantize
from .broken import matrices, run, taken
from .test_gguf_model import undo


def gains(model):
    """Every norm by its name in a GGUF."""
    return {
        "output_norm.weight": model.outside["norm"],
        **{
            f"blk.{n}.{name}.weight": gain
            for n, layer in enumerate(model.layers)
            for name, gain in layer.vectors.items()
        },
    }


class Pieces:
    """A GGUF in pieces: `metadata` and `headers` (of tensors) as raw bytes by name, and `data`."""

    def __init__(self, path):
        reader = gguf.GGUFReader(path)

        def raw(field):
            return b"".join(part.tobytes() for part in field.parts)

        self.metadata = {k: raw(f) for k, f in reader.fields.items() if not k.startswith("GGUF.")}
        self.headers = {t.name: raw(t.field) for t in reader.tensors}
        self.places = {t.name: t.data_offset - reader.data_offset for t in reader.tensors}
        self.types = {t.name: t.tensor_type for t in reader.tensors}
        self.data = path.read_bytes()[reader.data_offset :]

    def join(self, *, metadata=None, headers=None, counts=(0, 0), data=None):
        """The file, with changes; `counts` is what the header's counts are too high by."""
        metadata = list((self.metadata if metadata is None else metadata).values())
        headers = list((self.headers if headers is None else headers).values())
        head = b"GGUF" + struct.pack("<IQQ", 3, len(headers) + counts[0], len(metadata) + counts[1])
        head += b"".join(metadata) + b"".join(headers)
        return head + bytes(-len(head) % 32) + (self.data if data is None else data)

    def header(self, name, *, shape=None, kind=None, offset=None, to=None):
        """A tensor's header with changes."""
        old = self.headers[name]
        at = 8 + len(name)
        rank = struct.unpack_from("<I", old, at)[0]
        dims = struct.unpack_from(f"<{rank}Q", old, at + 4) if shape is None else shape
        was, name = struct.unpack("<IQ", old[-12:]), (to or name).encode()
        return b"".join(
            (
                struct.pack("<Q", len(name)),
                name,
                struct.pack(f"<I{len(dims)}Q", len(dims), *dims),
                struct.pack("<I", was[0] if kind is None else kind),
                struct.pack("<Q", was[1] if offset is None else offset),
            )
        )


PLAIN = {"F32", "F16", "BF16", "Q4_0", "Q4_1", "Q8_0"}
OTHERS = [Type(number) for number, its in TYPES.items() if its.name not in PLAIN]


# Of tests about what all types share.
PLAIN_FILES = pytest.mark.parametrize("pieces", ["Q4_1", "F32"], indirect=True)


@pytest.fixture(scope="module", params=["Q4_1", "F32", "others"])
def pieces(request, tmp_path_factory):
    """A good file: of one type, or with a matrix of each of the others."""
    path, kinds = tmp_path_factory.mktemp("good") / "m.gguf", {"token_embd.weight": Type.Q8_0}
    if request.param != "others":
        return Pieces(synthetic.write(path, kind=Type[request.param], kinds=kinds))
    names = [name for name, w in synthetic.weights().items() if w.ndim == 2 and name not in kinds]
    kinds |= dict(zip(names, OTHERS, strict=True))
    return Pieces(synthetic.write(path, kinds=kinds, sizes=synthetic.WIDE))


@pytest.fixture
def write_gguf(tmp_path):
    def write(n, content):
        path = tmp_path / f"{n}.gguf"
        path.write_bytes(content)
        return path

    return write


def as_the_reference_reads(path, model):
    """Compare a model with what GGUF's own reader finds in the file."""
    reader = gguf.GGUFReader(path)
    values = {t.name: t for t in reader.tensors}
    dim = model.shape.rope.dim
    if "llama.rope.dimension_count" in reader.fields:
        assert reader.fields["llama.rope.dimension_count"].contents() == dim
    for linear in matrices(model):
        tensor = values[linear.name]
        with np.errstate(all="ignore"):
            expected = undo(linear.name, dequantize(tensor.data, tensor.tensor_type), dim)
        if linear.rounding is None:
            np.testing.assert_array_equal(linear.float32(), expected)
        else:  # rounded to bytes of groups
            off = np.abs(linear.float32() - expected).reshape(-1, 32).max(1)
            assert (off <= np.abs(expected).reshape(-1, 32).max(1) / 250 + 1e-37).all()
    for name, values_ in gains(model).items():
        np.testing.assert_array_equal(values_, values[name].data)
    for key, ours in {
        "block_count": len(model.layers),
        "context_length": model.context,
        "embedding_length": model.hidden,
        "feed_forward_length": model.ffn,
        "attention.head_count": model.heads,
        "attention.head_count_kv": model.kv_heads,
        "attention.key_length": model.head_dim,
        "rope.freq_base": model.shape.rope.theta,
        "attention.layer_norm_rms_epsilon": model.shape.norm_eps,
    }.items():
        if f"llama.{key}" in reader.fields:
            assert reader.fields[f"llama.{key}"].contents() == ours, key
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    assert json.loads(model.tokenizer)["gguf"]["tokens"] == tokens
    if "tokenizer.ggml.eos_token_id" in reader.fields:
        assert reader.fields["tokenizer.ggml.eos_token_id"].contents() == model.eos[0]


def test_good(pieces, write_gguf):
    assert taken(write_gguf(0, pieces.join()), as_the_reference_reads)


def array(kind, count, content=b""):
    """A value that is a list."""
    return Value.ARRAY, struct.pack("<IQ", kind, count) + content


WRONG = [
    (Value.UINT8, b"\2"),
    (Value.INT8, b"\xff"),
    (Value.UINT16, b"\2\0"),
    (Value.BOOL, b"\1"),
    (Value.INT16, b"\xff" * 2),
    (Value.UINT32, b"\xff" * 4),
    (Value.INT32, b"\xff" * 4),
    (Value.UINT64, b"\xff" * 8),
    (Value.INT64, b"\xff" * 8),
    (Value.FLOAT32, struct.pack("<f", 2.5)),
    (Value.FLOAT32, struct.pack("<f", float("nan"))),
    (Value.FLOAT64, struct.pack("<d", 1e308)),
    (Value.FLOAT64, struct.pack("<d", -1.0)),
    (Value.STRING, bytes(8)),
    (Value.STRING, struct.pack("<Q", 2) + b"\n\n"),
    (Value.STRING, struct.pack("<Q", 1) + b"\xff"),
    (Value.STRING, b"\xff" * 8),
    array(Value.UINT32, 0),
    array(Value.UINT32, 2, bytes(8)),
    array(Value.FLOAT32, 2, struct.pack("<ff", 1, float("nan"))),
    array(Value.STRING, 0),
    array(Value.ARRAY, 1),
    array(Value.UINT8, 1 << 40),
    array(Value.STRING, 1 << 60),
    array(99, 1),
    (99, b""),
]


@pytest.mark.seconds(1)
@PLAIN_FILES
def test_wrong_types(pieces, write_gguf):
    """Every field of every type, and keys that a Llama may have besides."""
    optional = [
        "general.name",
        "general.alignment",
        "split.count",
        "tokenizer.chat_template",
        "llama.expert_count",
        "llama.rope.scaling.type",
        "llama.attention.sliding_window",
    ]

    def cases():
        for key in [*pieces.metadata, *optional]:
            for kind, value in WRONG:
                raw = struct.pack("<Q", len(key)) + key.encode() + struct.pack("<I", kind) + value
                yield (key, kind, value), pieces.join(metadata={**pieces.metadata, key: raw})

    refused, accepted = run(cases(), as_the_reference_reads, write_gguf)
    assert len(refused) > 600 and len(accepted) < 0.15 * len(refused)


def structures(pieces):
    """Files whose parts do not fit each other: all must be refused."""
    end = -(-len(pieces.data) // 32) * 32
    for key, raw in pieces.metadata.items():
        yield f"{key} twice", pieces.join(metadata={**pieces.metadata, "again": raw})
    for key in "general.architecture", "llama.block_count", "tokenizer.ggml.tokens":
        without = {k: v for k, v in pieces.metadata.items() if k != key}
        yield f"no {key}", pieces.join(metadata=without)
    names = list(pieces.headers)
    for n, name in enumerate(names):
        headers = pieces.headers
        other = names[n - 1]
        for what, header in {
            "twice": pieces.header(name, to=other),
            "unknown": pieces.header(name, to="blk.0.extra\n.weight"),
            "over another": pieces.header(name, offset=pieces.places[other]),
            "over another's end": pieces.header(name, offset=max(pieces.places[other] - 32, 0)),
            "misaligned": pieces.header(name, offset=pieces.places[name] + 4),
            "behind the end": pieces.header(name, offset=end),
            "far behind the end": pieces.header(name, offset=1 << 63),
            "of no dimension": pieces.header(name, shape=()),
            "of five": pieces.header(name, shape=(1,) * 5),
            "with none": pieces.header(name, shape=(64, 0)),
            "of huge ones": pieces.header(name, shape=(1 << 62,) * 4),
            "of one huge one": pieces.header(name, shape=(1 << 40,)),
            "of an old type": pieces.header(name, kind=4),
            "of a type to come": pieces.header(name, kind=1 << 31),
            "cut": headers[name][:-9],
        }.items():
            yield f"{name} {what}", pieces.join(headers={**headers, name: header})
    huge = 1 << 40
    for counts in (1, 0), (0, 1), (huge, 0), (0, huge), ((1 << 64) - 100, 0), (-1, 0), (0, -1):
        yield f"counts {counts}", pieces.join(counts=counts)
    for alignment in 0, 3, 1 << 30, 4096:
        key = b"general.alignment"
        raw = struct.pack("<Q", len(key)) + key + struct.pack("<II", Value.UINT32, alignment)
        yield f"alignment {alignment}", pieces.join(metadata={**pieces.metadata, "again": raw})


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(to="blk.0.ffn_up.weight"), "tensor 'blk.0.ffn_up.weight' appears twice"),
        (
            dict(offset=4),
            "tensor 'blk.1.ffn_up.weight' must lie at a multiple of 32 bytes, not at 4",
        ),
        (dict(offset=0), "tensors 'token_embd.weight' and 'blk.1.ffn_up.weight' overlap"),
        (dict(offset=1 << 40), "tensor 'blk.1.ffn_up.weight' ends at byte 10995116"),
        (dict(shape=(0, 64)), "tensor 'blk.1.ffn_up.weight' has the shape [64, 0]"),
    ],
)
def test_messages(pieces, write_gguf, change, message):
    name = "blk.1.ffn_up.weight"
    headers = {**pieces.headers, name: pieces.header(name, **change)}
    with pytest.raises(UserError, match=re.escape(f": the file is damaged: {message}")):
        load(write_gguf(0, pieces.join(headers=headers)))


@pytest.mark.parametrize("number", REFUSED)
@pytest.mark.parametrize("pieces", ["Q4_1"], indirect=True)
def test_types_without_a_decoder(pieces, write_gguf, number):
    name = "blk.1.ffn_up.weight"
    headers = {**pieces.headers, name: pieces.header(name, kind=number)}
    known = ", ".join(its.name for its in TYPES.values())
    message = (
        f"tensor {name!r} must be of type {known}, not {REFUSED[number]}; convert the model to "
        "one of these"
    )
    with pytest.raises(UserError, match=f": {re.escape(message)}$"):
        load(write_gguf(0, pieces.join(headers=headers)))


def test_structure(pieces, write_gguf):
    refused, accepted = run(structures(pieces), as_the_reference_reads, write_gguf)
    assert len(refused) > 300 and not accepted


def numbers(pieces):
    """Files with NaN, infinities and magnitudes beyond bounds in tensors: all must be refused."""
    for name, at in pieces.places.items():
        kind, bad, format = pieces.types[name], [np.nan, np.inf, -np.inf], "<e"
        if kind == Type.F32:
            bad, format = [*bad, 3e38, -3.4e38], "<f"
        if kind == Type.MXFP4:  # powers of two, and NaN, which the library takes as 2**128
            bad, format = [252, 253, 254, 255], "B"
        if kind == Type.NVFP4:  # every byte is a number
            continue
        for value in bad:
            for place in SCALES.get(kind, {0: 1}):
                data = bytearray(pieces.data)
                struct.pack_into(format, data, at + place, value)
                yield f"{name}: {value} at {place}", pieces.join(data=bytes(data))


@pytest.mark.seconds(1)
def test_numbers(pieces, write_gguf):
    refused, accepted = run(numbers(pieces), as_the_reference_reads, write_gguf)
    assert len(refused) > 60 and not accepted


@pytest.mark.seconds(2)
@PLAIN_FILES
def test_flips_and_truncations(pieces, write_gguf):
    rng, good = Random(7), pieces.join()
    header = len(good) - len(pieces.data)

    def cases():
        for n in range(120):
            broken = bytearray(good)
            for _ in range(rng.choice([1, 1, 1, 4])):
                at = rng.randrange(header if n % 4 else len(good))
                broken[at] = rng.choice([broken[at] ^ 1 << rng.randrange(8), 0, 255])
            yield f"flip {n}", bytes(broken)
        for n in range(60):
            end = rng.randrange(header if n % 2 else len(good))
            yield f"{end} bytes", good[:end]

    refused, accepted = run(cases(), as_the_reference_reads, write_gguf)
    assert len(refused) > 80 and len(accepted) > 20


@pytest.mark.seconds(1)
@pytest.mark.parametrize("pieces", ["others"], indirect=True)
def test_flips_in_blocks(pieces, write_gguf):
    """Whatever bytes blocks are of, they are numbers, or refused."""
    rng = Random(8)

    def cases():
        for n in range(40):
            broken = bytearray(pieces.data)
            for at in pieces.places.values():
                broken[at + rng.randrange(600)] = rng.choice([0, 127, 128, 255])
            yield f"flips {n}", pieces.join(data=bytes(broken))

    refused, accepted = run(cases(), as_the_reference_reads, write_gguf)
    assert len(refused) > 5 and len(accepted) > 5
