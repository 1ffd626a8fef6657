"""`python -m headrace.studies.densities`: real images of a small model, on a device that counts."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from headrace.studies import densities as study
from mapper.model import Linear
from mapper.prune import Pattern
from mapper.read.find import load
from rtl.spec.config import get
from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat
from tests.mapper import synthetic


GEN = np.random.default_rng(5)
WHOLE = Linear(
    name="some",
    source="F32",
    format=WeightFormat.S8,
    codes=GEN.integers(-120, 121, (32, 64)).astype(np.int8),
    d=GEN.uniform(0.5, 2, (32, 1)).astype(np.float32),
)
FORMAT = {8: WeightFormat.SPARSE8, 4: WeightFormat.SPARSE4}


class Device:
    """A step takes a cycle for each 64 bytes that the image has; the head takes 1000."""

    made = []

    def __init__(self, config):
        self.config, self.images, self.steps = config, [], []
        self.made.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def load(self, image):
        assert image.lacks(self.config) is None  # as the real one refuses
        self.images.append(image)

    def step(self, tokens, position, head):
        self.steps.append((position, head))
        cycles = len(self.images[-1].memory) // 64
        return SimpleNamespace(
            cycles=cycles + 1000 * head + 7 * (position == 0), weight_beats=cycles, starved=1
        )


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Instead of SmolLM2 a model of a few kilobytes, instead of the simulation a counter."""
    path = synthetic.write(
        tmp_path / "small.gguf", kinds={"token_embd.weight": synthetic.Type.Q8_0}
    )
    monkeypatch.setattr(study, "load", lambda name: load(path))
    monkeypatch.setattr(study, "SimDevice", Device)
    monkeypatch.setattr(study, "ROOT", tmp_path)
    monkeypatch.setattr(study, "PATTERNS", {"dense": 1, "2:4": 1 / 2, "2:16": 1 / 8})
    Device.made.clear()
    return tmp_path


@pytest.mark.parametrize("bits", FORMAT)
@pytest.mark.parametrize("name", study.PATTERNS)
def test_cut(name, bits):
    """If not, the study measures weights of another density than its table says."""
    cut = study.cut_linear(WHOLE, name, bits)
    assert cut.format == FORMAT[bits] and cut.codes.dtype == np.int8
    assert cut.codes.min() >= FORMATS[cut.format].low and np.abs(cut.codes).max() < 1 << bits - 1
    kept, of = (16, 16) if name == "dense" else map(int, name.split(":"))
    assert kept / of == study.PATTERNS[name]
    counts = (cut.codes != 0).reshape(32, -1, of).sum(-1)
    assert counts.max() == kept and (name != "dense" or counts.min() == kept)
    # The largest stay, within half a code of what they were; "dense" has one code for zero.
    whole, near = WHOLE.float32(), cut.float32()
    error = (
        np.abs(near - whole)[cut.codes != 0] / np.broadcast_to(cut.d, whole.shape)[cut.codes != 0]
    )
    assert error.max() <= (1.501 if name == "dense" else 0.501)
    if name != "dense" and bits == 8:
        groups, gone = np.abs(whole).reshape(32, -1, of), (cut.codes == 0).reshape(32, -1, of)
        assert (np.where(gone, groups, 0).max(-1) <= np.where(gone, np.inf, groups).min(-1)).all()


def test_patterns_are_known():
    """If not, the study ends in the midst of it, hours after it began."""
    assert [Pattern(name).name for name in study.PATTERNS if name != "dense"]


def test_row_of_zeros():
    """A row without weights has no scale, and is still a row of zeros."""
    whole = Linear(
        name="some",
        source="F32",
        format=WeightFormat.S8,
        codes=np.zeros((16, 32), np.int8),
        d=np.ones((16, 1), np.float32),
    )
    cut = study.cut_linear(whole, "2:4", 8)
    assert not cut.codes.any() and not cut.d.any()


@pytest.mark.parametrize("bits", FORMAT)
def test_measure(small, bits):
    """A second position's step is measured, with the head and without; each pattern's on its own
    image. If not, the study compares a pattern with itself, or a cold start with a warm one.
    """
    figures = study.measure(get(study.DEFAULT_CONFIG), bits)
    (device,) = Device.made
    assert device.closed and len(device.images) == 3
    assert device.steps == 3 * [(0, False), (1, False), (2, True)]
    for image, (name, f) in zip(device.images, figures.items()):
        assert f["density"] == study.PATTERNS[name]
        assert f["layer_cycles"] == len(image.memory) // 64 == f["token_cycles"] - 1000
        assert image.context == study.CONTEXT
    dense, half, eighth = (f["layer_beats"] for f in figures.values())
    assert eighth < half < dense


def test_command(small, capsys):
    """The table's ratios are to dense weights, and the file has what the table is made of."""
    assert study.main(["--bits", "4"]) == 0
    figures = json.loads((small / f"build/densities-{study.DEFAULT_CONFIG}-4.json").read_text())
    assert list(figures) == list(study.PATTERNS)
    lines = {
        words[0]: words[1:]
        for words in map(str.split, capsys.readouterr().out.splitlines())
        if words
    }
    dense, cut = figures["dense"], figures["2:16"]
    assert lines["2:16"] == [
        "0.125",
        f"{cut['layer_cycles']:,}",
        f"{cut['layer_cycles'] / dense['layer_cycles']:.3f}",
        f"{cut['layer_beats']:,}",
        f"{cut['layer_beats'] / dense['layer_beats']:.3f}",
        f"{cut['token_cycles']:,}",
    ]
    assert lines["dense"][2] == lines["dense"][4] == "1.000"


@pytest.mark.parametrize(
    "words, said", [(["--config", "nope"], "nope"), (["--set", "lanes=0"], "--set lanes=0")]
)
def test_machine_that_is_none(small, capsys, words, said):
    """It is refused in one line, before a model is read."""
    assert study.main(words) == 2
    err = capsys.readouterr().err
    assert err.startswith("densities: ") and said in err and err.count("\n") == 1
    assert not Device.made
