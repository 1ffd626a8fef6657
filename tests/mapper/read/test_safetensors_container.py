import hashlib
import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from host.errors import UserError
from mapper.read.safetensors_container import parse_json, tensors


@pytest.mark.parametrize(
    "text, value",
    [
        ("{}", {}),
        ('{"a": [1, 2.5, -1e30, true, null]}', {"a": [1, 2.5, -1e30, True, None]}),
        ('{"a": {"a": 1}}', {"a": {"a": 1}}),
        ("18446744073709551616", 1 << 64),
    ],
)
def test_json(text, value):
    assert parse_json(text) == value


@pytest.mark.parametrize(
    "text, message",
    [
        ("NaN", "the number 'NaN' is out of range"),
        ("[-Infinity]", "the number '-Infinity' is out"),
        ('{"a": 1e999}', "the number '1e999' is out of range"),
        ('{"a": {"b": 1, "c": 2, "b": 3}}', "key 'b' appears twice"),
        ("[" * 100_000, "it is nested too deeply"),
        ("1" + "0" * 5000, "Exceeds the limit"),
        ("{", "Expecting property name"),
        ("", "Expecting value"),
    ],
)
def test_not_json(text, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        parse_json(text)


def test_tensors(tmp_path):
    made = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.arange(4, dtype=np.int8),
        "c": np.zeros(2, np.float16),
    }
    path = tmp_path / "m.safetensors"
    save_file(made, path)
    digest = hashlib.sha256()
    found = {tensor.name: tensor for tensor in tensors(path, digest)}
    assert digest.hexdigest() == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.keys() == made.keys()
    for name, values in made.items():
        assert found[name].shape == values.shape
        np.testing.assert_array_equal(found[name].raw([found[name].dtype], ""), values)
    assert found["a"].same(found["a"]) and not found["a"].same(found["b"])


def test_same_in_another_type(tmp_path):
    path = tmp_path / "m.safetensors"
    values = np.array([1, -2.5], np.float32)
    save_file({"a": values, "b": values.astype(np.float16), "c": -values}, path)
    a, b, c = sorted(tensors(path, hashlib.sha256()), key=lambda tensor: tensor.name)
    assert a.same(b) and not a.same(c) and not b.same(c)


def test_overlap(tmp_path):
    header = {
        name: {"dtype": "I8", "shape": [4], "data_offsets": [at, at + 4]}
        for name, at in (("a", 0), ("b", 3))
    }
    text = json.dumps(header).encode()
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    with pytest.raises(
        UserError,
        match="m.safetensors: the safetensors file is damaged: tensors 'a' "
        "and 'b' overlap; get it again$",
    ):
        tensors(path, hashlib.sha256())
