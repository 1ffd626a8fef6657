"""Images that are not what was compiled: one line for each, and nothing is allocated before."""

import json
import tracemalloc
from copy import deepcopy
from dataclasses import asdict, replace
from random import Random

import numpy as np
import pytest

import headrace.devices
from headrace.cli import main
from headrace.library import images
from host.errors import UserError
from host.image.image import Image
from tests.mapper import synthetic

from .. import fake
from ..images import CONFIG, metadata, sealed, small_image


ALLOWED = 8 << 20  # bytes that a refusal may take: libraries import what they need for it
OPTIONAL = {"density", "blocks", "rounding", "reason", "head"}
NULLABLE = {"bos", "chat_template"}
OPEN = {"blocks", "scale_error"}  # dictionaries with names of their own

# Values of other types, or out of range, by the type of what they replace.
WRONG = {
    int: [None, True, "7", 1.5, -1, 1 << 64, 10**400, [], {}, [1]],
    bool: [None, 0, 1, "true", 0.0, [], {}],
    float: [None, True, "7", -0.5, [], {}, [1.5]],
    str: [None, True, 7, 1.5, [], {}, ["small"]],
    list: [None, True, 7, "S8", {}, [None], [[]], [{}], ["no"], [-1], [1.5], [0] * 5000],
    dict: [None, True, 7, "json", [], [{}], {"": []}, {"a\nb\x1b[2J": "x"}],
}
# What JSON texts can hold and Python's values cannot.
TEXTS = [
    "NaN",
    "-Infinity",
    "1e999",
    "1" * 5000,
    "[" * 100_000,
    '{"a":' * 100_000,
    "",
    "}",
    "nul",
    '"\\ud800"',
    '"\\x00"',
    "\x00",
    "1,",
    "01",
    "'a'",
    "[" * 600 + "]" * 600,
]


def places(value, path=()):
    """Yield (path, value) of all that a metadata holds."""
    yield path, value
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def changed(about, path, change):
    """A copy with `change` made in what holds the last of `path`."""
    about = deepcopy(about)
    inner = about
    for key in path[:-1]:
        inner = inner[key]
    change(inner, path[-1])
    return about


def assign(value):
    return lambda inner, key: inner.__setitem__(key, value)


def corruptions(about):
    """Yield (name, JSON) of metadata with one thing wrong."""
    for path, value in places(about):
        if not path:
            continue
        name = ".".join(map(str, path))
        for wrong in WRONG.get(type(value), WRONG[int]):
            if wrong is not None or path[-1] not in NULLABLE:
                yield f"{name} = {wrong!r:.20}", json.dumps(changed(about, path, assign(wrong)))
        for text in TEXTS:
            if not text and isinstance(path[-1], int):
                continue  # a shorter list
            marked = json.dumps(changed(about, path, assign("@@")))
            yield f"{name} = {text:.20}", marked.replace('"@@"', text)
        if isinstance(path[-1], str) and path[-1] not in OPTIONAL and not OPEN & {*path[-2:-1]}:
            yield f"no {name}", json.dumps(changed(about, path, lambda inner, key: inner.pop(key)))
        if isinstance(value, dict) and path[-1] not in OPEN:
            yield f"{name}.new", json.dumps(changed(about, (*path, "new"), assign(1)))
    yield "new", json.dumps(about | {"new": 1})


RELATIONS = {
    "memory_units = 2**31": {"memory_units": 1 << 31},
    "memory_units = 2**32, consistently": {
        "memory_units": 1 << 32,
        "writable": [4, 1 << 32],
        "report.memory_bytes": 1 << 38,
        "report.kv_cache_bytes": (1 << 38) - 256,
    },
    "memory_units below memory": {"memory_units": 3, "writable": [4, 3]},
    "writable begins early": {"writable": [3, 69]},
    "writable ends early": {"writable": [4, 68]},
    "writable ends late": {"writable": [4, 70]},
    "more layers": {"model.layers": 2, "report.layer_units": [1, 1]},
    "more KV heads": {"model.kv_heads": 2},
    "more context": {"context": 33},
    "other layers' cache": {"model.kv_blocks": [[2, 1, 0]]},
    "a larger cache": {"model.kv_blocks": [[1, 2, 0]]},
    "a ring without a window": {"context": 65, "model.kv_blocks": [[1, 1, 0]]},
    "a ring below its window": {"context": 65, "model.kv_blocks": [[1, 1, 32]]},
    "most context": {"context": 65537},
    "no context": {"context": 0},
    "program behind memory": {"program": 4},
    "program across the end": {
        "program": 3,
        "length": 3,
        "report.program_instructions": 3,
        "report.program_bytes": 96,
    },
    "length 4097": {"length": 4097},
    "no instructions": {"length": 0},
    "nodes beyond the program": {"nodes": [["layer / q", 1], ["head", 3]]},
    "nodes short of the program": {"nodes": [["layer / q", 1]]},
    "nodes out of order": {"nodes": [["layer / q", 2], ["head", 2]]},
    "a node that cannot be printed": {"nodes": [["layer\n", 1], ["head", 2]]},
    "vocab beyond rows": {"vocab": 1 << 20},
    "eos beyond vocab": {"model.eos": [0, 96]},
    "bos beyond vocab": {"model.bos": 96},
    "a format twice": {"formats": ["S8", "S8"]},
    "no format": {"formats": []},
    "an unknown format": {"formats": ["S8", "S9"]},
    "a pattern twice": {"patterns": ["2:4", "2:4"]},
    "an unknown pattern": {"patterns": ["3:4"]},
    "a short digest": {"digest": "0" * 31},
    "a digest and a line": {"digest": "0" * 32 + "\n"},
    "no hexadecimal digest": {"digest": "g" * 32},
    "another configuration's KV cache": {
        "memory_units": 133,
        "writable": [4, 133],  # of head_dim 128
        "report.memory_bytes": 133 * 64,
        "report.kv_cache_bytes": 129 * 64,
    },
    "another digest": {"digest": "0" * 32},
    "another name": {"config": "small", "report.configuration": "small"},
    "no configuration": {"accelerator.columns": 99},
    "no DRAM": {"accelerator.dram": {**asdict(CONFIG.dram), "queue": 0}},
    "another configuration's report": {"report.configuration": "small"},
    "another program's report": {"report.program_instructions": 3},
    "another program's bytes": {"report.program_bytes": 65},
    "another model's report": {"report.weight_bytes": 65},
    "another model's bytes of a token": {"report.bytes_per_token": 65},
    "another file's bytes": {"report.file_bytes": 69},
    "tensors that are missing": {"report.tensors": []},
    "another context's report": {"report.kv_cache_bytes": 64},
    "another memory's report": {"report.memory_bytes": 64},
    "weights beyond memory": {"weight_bytes": 1 << 20, "report.weight_bytes": 1 << 20},
    "layers beyond memory": {"report.layer_units": [5]},
    "layers of the report": {"report.layer_units": [1, 1]},
    "no cycles": {"report.estimated_cycles_per_token": 0},
}


def relations(about):
    for name, changes in RELATIONS.items():
        out = deepcopy(about)
        for key, value in changes.items():
            *path, last = key.split(".")
            (out[path[0]] if path else out)[last] = value
        yield name, json.dumps(out)


@pytest.fixture(scope="module")
def about(tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "image.safetensors"
    small_image().save(path)
    return json.loads(metadata(path))


def refusal(path):
    """The one line with which a file is refused, without memory for what it says."""
    tracemalloc.start()
    try:
        with pytest.raises(UserError) as info:
            Image.load(path)
        assert tracemalloc.get_traced_memory()[1] < ALLOWED
    finally:
        tracemalloc.stop()
    message = str(info.value)
    assert message.startswith(f"{path}: ") and message.isprintable() and len(message) < 600
    return message


@pytest.mark.seconds(2)
def test_every_field_and_every_relation(about, tmp_path):
    path = tmp_path / "image.safetensors"
    sealed(path, json.dumps(about))
    assert Image.load(path).verified  # before anything is changed
    cases = [*corruptions(about), *relations(about)]
    assert len(cases) > 1000
    accepted = []
    for name, text in cases:
        sealed(path, text)
        try:
            message = refusal(path)
        except pytest.fail.Exception:
            accepted.append(name)
            continue
        assert "ompile the model again" in message, name
    assert not accepted


@pytest.mark.parametrize(
    "tensors",
    [
        {"memory": np.zeros((2, 128), np.uint8)},
        {"memory": np.zeros(64, np.float32)},
        {"other": np.zeros(256, np.uint8)},
        {"memory": np.zeros(256, np.uint8), "other": np.zeros(1, np.uint8)},
        {"memory": np.zeros(255, np.uint8)},
        {"memory": np.zeros(0, np.uint8)},
        {"memory": np.zeros(320, np.uint8)},
    ],
    ids=lambda tensors: " ".join(f"{name}{value.shape}" for name, value in tensors.items()),
)
def test_tensors(about, tmp_path, tensors):
    sealed(path := tmp_path / "image.safetensors", json.dumps(about), **tensors)
    assert "ompile the model again" in refusal(path)


def test_what_cannot_be_loaded_is_not_saved(tmp_path):
    path = tmp_path / "image.safetensors"
    for change in (
        {"memory_units": 70},
        {"vocab": 0},
        {"report": {"bytes": 1}},
        {"config": "\ud800"},
    ):
        with pytest.raises(UserError, match=f"^{path}: .*"):
            replace(small_image(), **change).save(path)
        assert not list(tmp_path.iterdir())


# A single byte


def flips(size, count, seed):
    """Yield seeded places in a file and what to flip there: length field, header and data alike."""
    random = Random(seed)
    for n in range(count):
        yield n if n < 8 else random.randrange(size), random.randrange(1, 256)


def flip(raw, at, bits):
    return raw[:at] + bytes([raw[at] ^ bits]) + raw[at + 1 :]


def test_flipped_bytes(tmp_path):
    path = tmp_path / "image.safetensors"
    small_image().save(path)
    raw = path.read_bytes()
    digits = raw.index(b'"sha256":"') + 10
    chosen = [(digits, 1), (digits + 31, 1), (digits + 63, 1), (len(raw) - 1, 1)]
    for at, bits in [*flips(len(raw), 500, seed=1), *chosen]:
        path.write_bytes(flip(raw, at, bits))
        refusal(path)
    path.write_bytes(raw)
    assert Image.load(path).verified


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 500, -1, -257])
def test_truncated(tmp_path, size):
    path = tmp_path / "image.safetensors"
    small_image().save(path)
    path.write_bytes(path.read_bytes()[:size])
    refusal(path)


def test_appended(tmp_path):
    path = tmp_path / "image.safetensors"
    small_image().save(path)
    path.write_bytes(path.read_bytes() + b"\0")
    refusal(path)


def test_seal_is_checked_once_per_file(tmp_path, monkeypatch):
    path = tmp_path / "image.safetensors"
    small_image().save(path)
    Image.load(path)
    with monkeypatch.context() as patch:
        patch.setattr("host.image.seal.hashlib", None)
        assert Image.load(path).verified
    raw = path.read_bytes()
    path.unlink()
    path.write_bytes(flip(raw, len(raw) - 5, 1))
    assert "its SHA-256 is not the one" in refusal(path)


# Commands


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Runs commands with a device that is not real and a cache of its own."""
    monkeypatch.setattr(images, "cache", lambda: tmp_path / "cache")
    monkeypatch.setitem(headrace.devices.DEVICES, "model", "tests.host.fake:Device")
    fake.Device.made.clear()

    def call(*args):
        code = main([str(a) for a in args])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def model(tmp_path):
    return synthetic.write(tmp_path / "tiny.gguf", kinds={"token_embd.weight": synthetic.Type.Q8_0})


COMPILE = ["compile", "--config", "small", "--context", 64]
RUN = ["run", "--device", "model", "--tokens", 3, "--prompt", "hello world"]


def test_run_refuses_flipped_bytes(cli, model, tmp_path):
    image = tmp_path / "tiny.safetensors"
    assert cli(*COMPILE, "--model", model, "-o", image)[0] == 0
    raw = image.read_bytes()
    assert cli(*RUN, "--model", image)[0] == 0 and len(fake.Device.made) == 1
    for at, bits in flips(len(raw), 40, seed=2):
        image.write_bytes(flip(raw, at, bits))
        code, out, err = cli(*RUN, "--model", image)
        assert code == 2 and out == "" and err.count("\n") == 1
        assert err.startswith(f"headrace: {image}: ")
    assert len(fake.Device.made) == 1  # no device is made for a damaged image


@pytest.mark.seconds(1)
def test_run_with_corrupted_metadata(cli, model, tmp_path):
    """Bytes of the metadata that change, with a seal that is right: an answer or one line."""
    image, codes, random = tmp_path / "tiny.safetensors", [], Random(3)
    assert cli(*COMPILE, "--model", model, "-o", image)[0] == 0
    memory, text = np.array(Image.load(image).memory), metadata(image)
    report = text.rindex('"report"')  # comes last; the tokenizer before it is most of the text
    for n in range(257):
        at = random.randrange(report if n % 2 else 0, len(text))
        new = random.choice(
            [chr(random.randrange(32, 127)), "", "9", "-", '"', "0000", "[", "{}", "\\", "e9"]
        )
        sealed(image, text[:at] + new + text[at + 1 :], memory=memory)
        code, out, err = cli(*RUN, "--model", image)
        codes.append(code)
        assert code == 0 or (code, out, err.count("\n"), err[:10]) == (2, "", 1, "headrace: "), err
    assert codes.count(2) > 100


def test_damaged_kept_image_is_compiled_again(cli, model, tmp_path):
    args = [*RUN, "--model", model, "--config", "small", "--context", 64]
    code, text, err = cli(*args)
    assert code == 0 and "damaged" not in err
    (kept,) = (tmp_path / "cache").iterdir()
    raw = kept.read_bytes()
    for damage in flip(raw, len(raw) - 100, 1), flip(raw, 300, 1), raw[:-1], b"":
        kept.unlink()
        kept.write_bytes(damage)
        code, again, err = cli(*args)
        assert code == 0 and again == text
        assert err.startswith(f"headrace: {kept}: the kept image is damaged; compiling the model")
        assert Image.load(kept).memory.tobytes() == raw[-len(Image.load(kept).memory) :]
    code, again, err = cli(*args)
    assert code == 0 and again == text and "damaged" not in err
