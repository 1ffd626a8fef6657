"""Broken files of every kind: each is refused in one line, or read as the reference readers read it.

No case may raise anything but a :exc:`UserError`, and what is taken must compile.
"""

import json
import resource
import struct
from contextlib import contextmanager
from pathlib import Path
from random import Random

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type, GGUFValueType as Value
from safetensors.numpy import load_file, save

from host.errors import UserError
from host.tokenizer import Tokenizer
from mapper.compile import compile_model
from mapper.find import load
from rtl.config import get

from . import synthetic, test_hf
from .test_gguf import undo


CONFIG, GIBI = get("small"), 1 << 30


def matrices(model):
    """Every matrix, read."""
    return [model.embedding, model.head, *(x for layer in model.layers for x in layer.linears.values())]


def gains(model):
    """Every norm by its name in a GGUF."""
    return {"output_norm.weight": model.norm,
            **{f"blk.{n}.{name}.weight": getattr(layer, name) for n, layer in enumerate(model.layers)
               for name in ("attn_norm", "ffn_norm")}}


@contextmanager
def little_memory():
    """Refuse the process more than another GiB of addresses: a count in a file must not allocate."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + GIBI, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def taken(path, compare):
    """Read a model, compare it by a function, and compile it. Whether it was not refused instead."""
    try:
        model = load(path)
        compare(path, model)
        Tokenizer.from_json(model.tokenizer)
        image = compile_model(model, CONFIG, 1)
        assert len(image.dram())
        return True
    except UserError as error:
        assert len(str(error).splitlines()) == 1 and len(str(error)) < 400 + len(str(path))
        return False


def run(cases, compare, write):
    """Names of the cases (name, content) that were refused, and of those that were taken."""
    names = {False: [], True: []}
    with little_memory():
        for n, (name, content) in enumerate(cases):
            try:
                names[taken(write(n, content), compare)].append(name)
            except Exception as error:
                raise AssertionError(f"{name}: {error!r}") from error
    return names[False], names[True]


# --- GGUF -------------------------------------------------------------------------------------------


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
        self.data = path.read_bytes()[reader.data_offset:]

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
        was = struct.unpack("<IQ", old[-12:])
        name = (to or name).encode()
        return struct.pack("<Q", len(name)) + name + struct.pack(f"<I{len(dims)}Q", len(dims), *dims) + \
            struct.pack("<IQ", was[0] if kind is None else kind, was[1] if offset is None else offset)


@pytest.fixture(scope="module", params=["Q4_1", "F32"])
def pieces(request, tmp_path_factory):
    return Pieces(synthetic.write(tmp_path_factory.mktemp("good") / "m.gguf", kind=Type[request.param],
                                  kinds={"token_embd.weight": Type.Q8_0}))


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
    for linear in matrices(model):
        tensor = values[linear.name]
        with np.errstate(all="ignore"):
            expected = undo(linear.name, gguf.dequantize(tensor.data, tensor.tensor_type))
        if tensor.tensor_type in (Type.Q4_0, Type.Q4_1, Type.Q8_0):
            np.testing.assert_array_equal(linear.float32(), expected)
        else:  # rounded to bytes of groups
            off = np.abs(linear.float32() - expected).reshape(-1, 32).max(1)
            assert (off <= np.abs(expected).reshape(-1, 32).max(1) / 250 + 1e-37).all()
    for name, values_ in gains(model).items():
        np.testing.assert_array_equal(values_, values[name].data)
    for key, ours in (("block_count", len(model.layers)), ("context_length", model.context),
                      ("embedding_length", model.hidden), ("feed_forward_length", model.ffn),
                      ("attention.head_count", model.heads), ("attention.head_count_kv", model.kv_heads),
                      ("attention.key_length", model.head_dim), ("rope.freq_base", model.rope_theta),
                      ("attention.layer_norm_rms_epsilon", model.rms_eps)):
        if f"llama.{key}" in reader.fields:
            assert reader.fields[f"llama.{key}"].contents() == ours, key
    assert json.loads(model.tokenizer)["gguf"]["tokens"] == reader.fields["tokenizer.ggml.tokens"].contents()
    if "tokenizer.ggml.eos_token_id" in reader.fields:
        assert reader.fields["tokenizer.ggml.eos_token_id"].contents() == model.eos[0]


def test_good(pieces, write_gguf):
    assert taken(write_gguf(0, pieces.join()), as_the_reference_reads)


WRONG = [(Value.UINT8, b"\2"), (Value.INT8, b"\xff"), (Value.UINT16, b"\2\0"), (Value.INT16, b"\xff\xff"),
         (Value.UINT32, b"\xff" * 4), (Value.INT32, b"\xff" * 4), (Value.FLOAT32, struct.pack("<f", 2.5)),
         (Value.FLOAT32, struct.pack("<f", float("nan"))), (Value.BOOL, b"\1"), (Value.STRING, bytes(8)),
         (Value.STRING, b"\2\0\0\0\0\0\0\0\n\n"), (Value.STRING, b"\1\0\0\0\0\0\0\0\xff"),
         (Value.UINT64, b"\xff" * 8), (Value.INT64, b"\xff" * 8), (Value.FLOAT64, struct.pack("<d", 1e308)),
         (Value.FLOAT64, struct.pack("<d", -1.0)), (Value.ARRAY, struct.pack("<IQ", Value.UINT32, 0)),
         (Value.ARRAY, struct.pack("<IQII", Value.UINT32, 2, 1, 1)),
         (Value.ARRAY, struct.pack("<IQff", Value.FLOAT32, 2, 1, float("nan"))),
         (Value.ARRAY, struct.pack("<IQ", Value.STRING, 0)), (Value.ARRAY, struct.pack("<IQ", Value.ARRAY, 1)),
         (Value.ARRAY, struct.pack("<IQ", Value.UINT8, 1 << 40)), (Value.ARRAY, struct.pack("<IQ", Value.STRING, 1 << 60)),
         (Value.ARRAY, struct.pack("<IQ", 99, 1)), (99, b"")]


def test_wrong_types(pieces, write_gguf):
    """Every field of every type, and keys that a Llama may have besides."""
    optional = ["general.name", "general.alignment", "split.count", "tokenizer.chat_template",
                "llama.expert_count", "llama.rope.scaling.type", "llama.attention.sliding_window"]

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
    for key in set(pieces.metadata) & {"general.architecture", "llama.block_count", "tokenizer.ggml.tokens"}:
        yield f"no {key}", pieces.join(metadata={k: v for k, v in pieces.metadata.items() if k != key})
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
                "cut": headers[name][:-9]}.items():
            yield f"{name} {what}", pieces.join(headers={**headers, name: header})
    for counts in (1, 0), (0, 1), (1 << 40, 0), (0, 1 << 40), ((1 << 64) - 100, 0), (-1, 0), (0, -1):
        yield f"counts {counts}", pieces.join(counts=counts)
    for alignment in 0, 3, 1 << 30, 4096:
        raw = struct.pack("<Q", 17) + b"general.alignment" + struct.pack("<II", Value.UINT32, alignment)
        yield f"alignment {alignment}", pieces.join(metadata={**pieces.metadata, "general.alignment": raw})


def test_structure(pieces, write_gguf):
    refused, accepted = run(structures(pieces), as_the_reference_reads, write_gguf)
    assert len(refused) > 300 and not accepted


def numbers(pieces):
    """Files with NaN, infinities and magnitudes beyond bounds in tensors: all must be refused."""
    for name, at in pieces.places.items():
        kind = pieces.types[name]
        bad = {Type.F32: ("<f", [np.nan, np.inf, -np.inf, 3e38, -3.4e38]),
               Type.Q4_1: ("<e", [np.nan, np.inf, -np.inf]), Type.Q8_0: ("<e", [np.nan, np.inf, -np.inf])}[kind]
        for value in bad[1]:
            for place in {at, at + 2 if kind == Type.Q4_1 else at}:
                data = bytearray(pieces.data)
                struct.pack_into(bad[0], data, place, value)
                yield f"{name}: {value} at {place - at}", pieces.join(data=bytes(data))


def test_numbers(pieces, write_gguf):
    refused, accepted = run(numbers(pieces), as_the_reference_reads, write_gguf)
    assert len(refused) > 60 and not accepted


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


# --- folders ----------------------------------------------------------------------------------------


NASTY = ["NaN", "Infinity", "-Infinity", "1e999", "1e308", "-1", "0", "1e-46", "1.5", "true", "null", '""', '"x\\ny"',
         "[]", "{}", "[[[1]]]", "1" + "0" * 400, "1" + "0" * 5000, "[" * 100_000, '{"a":' * 990 + "1" + "}" * 990,
         "18446744073709551616", '"\\ud800"', "]", '{"a": 1, "a": 2}']


@pytest.fixture(scope="module")
def good_folder(tmp_path_factory):
    folder = test_hf.write(tmp_path_factory.mktemp("good") / "m")
    (folder / "tokenizer_config.json").write_text('{"add_bos_token": false, "chat_template": "{{ 1 }}"}')
    (folder / "generation_config.json").write_text('{"eos_token_id": [2, 0]}')
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"model.norm.weight": "model-0.safetensors"}}')
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def write_folder(tmp_path, good_folder):
    def write(n, changes):
        folder = tmp_path / str(n)
        folder.mkdir()
        for name, content in {**good_folder, **changes}.items():
            (folder / name).write_bytes(content)
        return folder
    return write


def as_the_library_reads(path, model):
    """Compare a model with what the safetensors library finds in the folder."""
    values = {k: v for file in path.glob("*.safetensors") for k, v in load_file(file).items()}
    for linear in matrices(model):
        expected = values[linear.name].astype(np.float32)
        off = np.abs(linear.float32() - expected).reshape(-1, 32).max(1)
        assert (off <= np.abs(expected).reshape(-1, 32).max(1) / 250 + 1e-37).all()
    np.testing.assert_array_equal(model.norm, values["model.norm.weight"])
    config = json.loads((path / "config.json").read_text())
    for key, ours in (("num_hidden_layers", len(model.layers)), ("hidden_size", model.hidden),
                      ("intermediate_size", model.ffn), ("num_attention_heads", model.heads),
                      ("max_position_embeddings", model.context), ("rms_norm_eps", model.rms_eps),
                      ("rope_theta", model.rope_theta)):
        if config.get(key) is not None:
            assert config[key] == ours, key


def test_good_folder(write_folder):
    assert taken(write_folder(0, {}), as_the_library_reads)


def fields(good_folder, name, more=()):
    """Files with a nasty value in each field of a JSON file, and in some that it does not have."""
    about = json.loads(good_folder[name])
    for key in [*about, *more]:
        for value in NASTY:
            text = json.dumps({**about, key: "here"}).replace('"here"', value)
            yield f"{name}: {key}: {value[:30]}", {name: text.encode()}
    for value in NASTY:
        yield f"{name}: {value[:30]}", {name: value.encode()}
    for content in b"", b"\xff\xfe", b"\xef\xbb\xbf{}", good_folder[name][:-1], good_folder[name] * 2:
        yield f"{name}: {content[:30]}", {name: content}


def test_json(good_folder, write_folder):
    def cases():
        yield from fields(good_folder, "config.json", [
            "rope_scaling", "rope_parameters", "sliding_window", "quantization_config", "layer_types",
            "attention_bias", "num_local_experts"])
        for name in "tokenizer_config.json", "generation_config.json", "model.safetensors.index.json":
            yield from fields(good_folder, name)
        yield from fields(good_folder, "tokenizer.json")

    refused, accepted = run(cases(), as_the_library_reads, write_folder)
    assert len(refused) > 600 and len(accepted) < 0.15 * len(refused)


def entry(**changes):
    """Change of a tensor's entry in the header."""
    return lambda about: {**about, **changes}


def headers(good_folder):
    """Safetensors whose header does not fit their data: all must be refused."""
    name = "model-0.safetensors"
    raw = good_folder[name]
    size = struct.unpack("<Q", raw[:8])[0]
    header, data = json.loads(raw[8:8 + size]), raw[8 + size:]

    def file(text, size=None):
        return {name: struct.pack("<Q", len(text) if size is None else size) + text + data}

    for n, (tensor, about) in enumerate(header.items()):
        if tensor == "__metadata__":
            continue
        start, end = about["data_offsets"]
        for change in (
                {"dtype": "F64"}, {"dtype": "I8"}, {"dtype": 1}, {"dtype": None}, {"shape": None}, {"shape": []},
                {"shape": [-1]}, {"shape": [True]}, {"shape": [1e3]}, {"shape": "64"}, {"shape": [1 << 62] * 4},
                {"shape": [1] * 5000}, {"data_offsets": [start]}, {"data_offsets": [end, start]},
                {"data_offsets": [start + 4, end + 4]}, {"data_offsets": [-4, end - start - 4]},
                {"data_offsets": [0, len(data) + 4]}, {"data_offsets": [10 ** 30, 10 ** 30]}, {"data_offsets": None}):
            yield f"{tensor} {change}", file(json.dumps({**header, tensor: {**about, **change}}).encode())
        for value in None, [], 1, "x", {}:
            yield f"{tensor}: {value}", file(json.dumps({**header, tensor: value}).encode())
        text = json.dumps(header)[:-1] + f", {json.dumps(tensor)}: {json.dumps(about)}}}"
        yield f"{tensor} twice", file(text.encode())
        yield f"{tensor} in two files", {"other.safetensors": save({tensor: np.ones(4, np.float32)})}
        yield f"{tensor} missing", file(json.dumps({k: v for k, v in header.items() if k != tensor}).encode())
    text = json.dumps(header).encode()
    for size in 0, 1, len(text) - 1, len(text) + 1, 1 << 40, (1 << 64) - 1:
        yield f"header of {size}", file(text, size)
    for value in NASTY:
        yield f"header {value[:30]}", file(value.encode())


def test_safetensors(good_folder, write_folder):
    refused, accepted = run(headers(good_folder), as_the_library_reads, write_folder)
    assert len(refused) > 300 and not accepted


def test_numbers_in_folders(good_folder, write_folder):
    def cases():
        for tensor, values in test_hf.tensors().items():
            for value in np.nan, np.inf, -np.inf, 3e38:
                changed = values.copy()
                changed.flat[-1] = value
                yield f"{tensor} {value}", {"model-0.safetensors": save({**test_hf.tensors(), tensor: changed})}

    refused, accepted = run(cases(), as_the_library_reads, write_folder)
    assert len(refused) > 60 and not accepted


def test_flips_and_truncations_of_folders(good_folder, write_folder):
    rng = Random(8)

    def cases():
        for n in range(250):
            name = rng.choice(sorted(good_folder))
            broken = bytearray(good_folder[name])
            if n % 4 == 0:
                del broken[rng.randrange(len(broken)):]
            else:
                at = rng.randrange(min(len(broken), 4000))
                broken[at] = rng.choice([broken[at] ^ 1 << rng.randrange(8), 0, 255])
            yield f"{name} {n}", {name: bytes(broken)}

    refused, accepted = run(cases(), as_the_library_reads, write_folder)
    assert len(refused) > 80 and len(accepted) > 20
