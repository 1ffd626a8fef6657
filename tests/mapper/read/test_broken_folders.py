"""Broken folders of every kind.

Each is refused in one line, or read as the safetensors library reads it, and compiled: no case may
raise anything but a :exc:`UserError`.
"""

import json
import struct
from random import Random

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from . import hf_files
from .broken import matrices, run, taken


NASTY = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "1e308",
    "-1",
    "0",
    "1e-46",
    "1.5",
    "true",
    "null",
    '""',
    '"x\\ny"',
    "[]",
    "{}",
    "[[[1]]]",
    "1" + "0" * 400,
    "1" + "0" * 5000,
    "18446744073709551616",
    "[" * 100_000,
    '{"a":' * 990 + "1" + "}" * 990,
    '"\\ud800"',
    "]",
    '{"a": 1, "a": 2}',
]
CONFIG_FIELDS = [
    "rope_scaling",
    "rope_parameters",
    "sliding_window",
    "quantization_config",
    "layer_types",
    "attention_bias",
    "num_local_experts",
]
FILES = {
    "tokenizer_config.json": {"add_bos_token": False, "chat_template": "{{ 1 }}"},
    "generation_config.json": {"eos_token_id": [2, 0]},
    "model.safetensors.index.json": {"weight_map": {"lm_head.weight": "model-0.safetensors"}},
}


@pytest.fixture(scope="module")
def good_folder(tmp_path_factory):
    folder = hf_files.write(tmp_path_factory.mktemp("good") / "m")
    for name, value in FILES.items():
        (folder / name).write_text(json.dumps(value))
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
    np.testing.assert_array_equal(model.outside["norm"], values["model.norm.weight"])
    config = json.loads((path / "config.json").read_text())
    for key, ours in (
        ("num_hidden_layers", len(model.layers)),
        ("hidden_size", model.hidden),
        ("intermediate_size", model.ffn),
        ("num_attention_heads", model.heads),
        ("max_position_embeddings", model.context),
        ("rms_norm_eps", model.shape.norm_eps),
        ("rope_theta", model.shape.rope.theta),
    ):
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
    good = good_folder[name]
    for content in b"", b"\xff\xfe", b"\xef\xbb\xbf{}", good[:-1], good * 2:
        yield f"{name}: {content[:30]}", {name: content}


@pytest.mark.seconds(3)
def test_json(good_folder, write_folder):
    def cases():
        yield from fields(good_folder, "config.json", CONFIG_FIELDS)
        for name in *FILES, "tokenizer.json":
            yield from fields(good_folder, name)

    refused, accepted = run(cases(), as_the_library_reads, write_folder)
    assert len(refused) > 600 and len(accepted) < 0.15 * len(refused)


def headers(good_folder):
    """Safetensors whose header does not fit their data: all must be refused."""
    name = "model-0.safetensors"
    raw = good_folder[name]
    size = struct.unpack("<Q", raw[:8])[0]
    header, data = json.loads(raw[8 : 8 + size]), raw[8 + size :]

    def file(text, size=None):
        return {name: struct.pack("<Q", len(text) if size is None else size) + text + data}

    for tensor, about in header.items():
        if tensor == "__metadata__":
            continue
        start, end = about["data_offsets"]
        wrong = {
            "dtype": ["F64", "I8", 1, None],
            "shape": [None, [], [-1], [True], [1e3], "64", [1 << 62] * 4, [1] * 5000],
            "data_offsets": [
                None,
                [start],
                [end, start],
                [start + 4, end + 4],
                [0, len(data) + 4],
                [-4, end - start - 4],
                [10**30, 10**30],
            ],
        }
        changed = [{**about, key: value} for key, values in wrong.items() for value in values]
        for value in *changed, None, [], 1, "x", {}:
            text = json.dumps({**header, tensor: value})
            yield f"{tensor}: {text}", file(text.encode())
        text = json.dumps(header)[:-1] + f", {json.dumps(tensor)}: {json.dumps(about)}}}"
        yield f"{tensor} twice", file(text.encode())
        other = save({tensor: np.ones(4, np.float32)})
        yield f"{tensor} in two files", {"other.safetensors": other}
        without = {k: v for k, v in header.items() if k != tensor}
        yield f"{tensor} missing", file(json.dumps(without).encode())
    text = json.dumps(header).encode()
    for size in 0, 1, len(text) - 1, len(text) + 1, 1 << 40, (1 << 64) - 1:
        yield f"header of {size}", file(text, size)
    for value in NASTY:
        yield f"header {value[:30]}", file(value.encode())


@pytest.mark.seconds(1)
def test_safetensors(good_folder, write_folder):
    refused, accepted = run(headers(good_folder), as_the_library_reads, write_folder)
    assert len(refused) > 300 and not accepted


def test_numbers_in_folders(good_folder, write_folder):
    def cases():
        good = hf_files.tensors()
        for tensor, values in good.items():
            for value in np.nan, np.inf, -np.inf, 3e38:
                changed = values.copy()
                changed.flat[-1] = value
                broken = save({**good, tensor: changed})
                yield f"{tensor} {value}", {"model-0.safetensors": broken}

    refused, accepted = run(cases(), as_the_library_reads, write_folder)
    assert len(refused) > 60 and not accepted


@pytest.mark.seconds(1)
def test_flips_and_truncations_of_folders(good_folder, write_folder):
    rng = Random(8)

    def cases():
        for n in range(250):
            name = rng.choice(sorted(good_folder))
            broken = bytearray(good_folder[name])
            if n % 4 == 0:
                del broken[rng.randrange(len(broken)) :]
            else:
                at = rng.randrange(min(len(broken), 4000))
                broken[at] = rng.choice([broken[at] ^ 1 << rng.randrange(8), 0, 255])
            yield f"{name} {n}", {name: bytes(broken)}

    refused, accepted = run(cases(), as_the_library_reads, write_folder)
    assert len(refused) > 80 and len(accepted) > 20
