"""Broken folders of every layout: of quantizers, and of the machine's own integers.

Each is refused in one line, or read as if nothing had been done to it: no case may raise anything
but a :exc:`UserError`, or change a weight.
"""

import json
import struct
from random import Random

import numpy as np
import pytest

from mapper.read.find import load

from . import hf_files
from .broken import matrices, run, taken
from .quantized import CASES, case_of, random_parts
from .test_broken_folders import NASTY


NATIVE = ("u4", "ternary")
LAYOUTS = [
    "gptq 4 32",
    "gptq 8 32",
    "gptq_v2 8 64",
    "awq 32",
    "pack-quantized 4 32 False",
    "pack-quantized 4 -1",
    "pack-quantized 3 64",
    "int-quantized 8 32",
    "bitnet bitlinear",
    "bitnet autobitlinear",
    "mxfp4",
    *NATIVE,
]
FILE = "model.safetensors"
MEANS = {"checkpoint_format", "linear_class"}  # keys that say something by not being there
TENSORS = 3  # of a folder that are broken, drawn by chance


def write(folder, layout):
    """A good folder of a layout."""
    if layout in NATIVE:
        return hf_files.write_native(folder, hf_files.WeightFormat[layout.upper()])
    case = case_of(layout)
    return hf_files.write_quantized(
        folder, case, lambda module, shape: random_parts(case, shape, seed=len(module))
    )


class Good:
    """Files of a good folder, and its weights."""

    def __init__(self, folder):
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()}
        self.weights = [its.float32() for its in matrices(load(folder))]
        raw = self.files[FILE]
        size = struct.unpack("<Q", raw[:8])[0]
        self.header, self.data = json.loads(raw[8 : 8 + size]), raw[8 + size :]

    def same(self, _, model):
        """Compare the weights of a model."""
        for found, expected in zip(matrices(model), self.weights, strict=True):
            np.testing.assert_array_equal(found.float32(), expected)

    def config(self, text):
        """Changed files: the configuration with another `quantization_config`."""
        about = json.loads(self.files["config.json"]) | {"quantization_config": "@"}
        return {"config.json": json.dumps(about).replace('"@"', text).encode()}

    def tensors(self, header, data=None):
        """Changed files: tensors with another header."""
        text = json.dumps(header).encode()
        body = self.data if data is None else data
        return {FILE: struct.pack("<Q", len(text)) + text + body}


@pytest.fixture(scope="module", params=LAYOUTS)
def good(request, tmp_path_factory):
    return Good(write(tmp_path_factory.mktemp("good") / "m", request.param))


@pytest.fixture
def write_folder(tmp_path, good):
    def write(n, changes):
        folder = tmp_path / str(n)
        folder.mkdir()
        for name, content in {**good.files, **changes}.items():
            (folder / name).write_bytes(content)
        return folder

    return write


def test_good(good, write_folder):
    assert taken(write_folder(0, {}), good.same)


def places(value, path=()):
    """Yield the path of each entry of nested objects."""
    if isinstance(value, dict):
        for key in value:
            yield (*path, key)
            yield from places(value[key], (*path, key))


def configurations(good):
    """Folders with a nasty value in one place of the `quantization_config`, or without it."""
    about = json.loads(good.files["config.json"])["quantization_config"]
    for path in places(about):
        for value in ("@", None):
            if value is None and path[-1] in MEANS:
                continue
            copy = json.loads(json.dumps(about))
            inner = copy
            for key in path[:-1]:
                inner = inner[key]
            if value is None:
                del inner[path[-1]]
                yield f"no {path}", good.config(json.dumps(copy))
                continue
            inner[path[-1]] = value
            for nasty in NASTY:
                if nasty == "null" and path[-1] in MEANS:
                    continue
                text = json.dumps(copy).replace('"@"', nasty)
                yield f"{path}: {nasty[:30]}", good.config(text)


@pytest.mark.seconds(1)
def test_configuration(good, write_folder):
    cases = [*configurations(good)]
    Random(3).shuffle(cases)
    refused, accepted = run(cases[:20], good.same, write_folder)
    assert len(refused) > 10 and len(refused) + len(accepted) >= min(20, len(cases))


def headers(good, random):
    """Files whose header does not say what their tensors are: all must be refused."""
    names = [name for name, its in good.header.items() if name != "__metadata__"]
    for name in random.sample(names, min(TENSORS, len(names))):
        its = good.header[name]
        start, end = its["data_offsets"]
        rest = {key: value for key, value in good.header.items() if key != name}
        if not name.endswith("g_idx"):  # which may be
            yield f"{name} missing", good.tensors(rest)
        yield f"{name} under another name", good.tensors({**rest, f"{name}s": its})
        for what, change in {
            "of no type": {"dtype": "I9"},
            "of another": {"dtype": "U8" if its["dtype"] != "U8" else "I8"},
            "turned": {"shape": [1, *its["shape"]]},
            "flat": {"shape": [int(np.prod(its["shape"])), 1]},
            "halved": {"shape": [n // 2 for n in its["shape"]]},
            "nowhere": {"data_offsets": [end, end]},
            "too long": {"data_offsets": [start, end + 4]},
            "behind the end": {"data_offsets": [1 << 40, (1 << 40) + end - start]},
        }.items():
            yield f"{name} {what}", good.tensors({**good.header, name: {**its, **change}})
    for size in 0, 1, len(good.data) - 1:
        yield f"{size} bytes", good.tensors(good.header, good.data[:size])


@pytest.mark.seconds(1)
def test_headers(good, write_folder):
    refused, accepted = run(headers(good, Random(4)), good.same, write_folder)
    assert len(refused) > 25 and not accepted, accepted


def test_every_layout_is_broken():
    """A layout that is added must be broken here, too."""
    assert {case.about["quant_method"] for case in CASES} == {
        case_of(name).about["quant_method"] for name in LAYOUTS if name not in NATIVE
    } | {"headrace"}
