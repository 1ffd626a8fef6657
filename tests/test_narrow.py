"""Whole models of 1, 2 and 3 bits on RTL: files of Q1_0, Q2_K and Q3_K, their codes kept."""

import numpy as np
import pytest

from host.language.generate import Session
from mapper.compile import compile_model
from mapper.read.find import load
from rtl.spec.config import get
from sim.fpga.device import SimDevice
from sim.functional import ModelDevice

from .headrace.command import call


FORMATS = {"tiny-q1": "U1", "tiny-q2": "U2", "tiny-q3": "U3"}
PROMPT, COUNT = [17, 300, 45], 2


def steps(device, image):
    device.load(image)
    columns = device.config.columns
    session = Session(device, context=image.context, columns=columns, vocab=image.vocab)
    return list(session.generate(PROMPT, COUNT))


@pytest.mark.seconds(30)
@pytest.mark.parametrize("size", ["small-lut", "wide-lut"])
@pytest.mark.parametrize("name", FORMATS)
def test_same_as_the_functional_machine(name, size):
    """Tokens, logits and all of DRAM, from an image whose matrices have the format of the file's
    codes, none of them rounded."""
    config = get(size)
    image = compile_model(load(name), config, 64)
    formats = {op["operation"]: op["format"] for op in image.report["operations"]}
    assert formats.pop("head") == formats.pop("embedding") == "S8"
    assert set(formats.values()) == {FORMATS[name]} and "roundings" not in image.report
    device = ModelDevice(config)
    want = steps(device, image)
    assert len(want) == COUNT
    with SimDevice(config) as simulated:
        for ours, theirs in zip(steps(simulated, image), want, strict=True):
            assert (ours.id, ours.position, ours.top_ids) == (
                theirs.id,
                theirs.position,
                theirs.top_ids,
            )
            logits = (np.array(its.top_logits, np.float32) for its in (ours, theirs))
            assert next(logits).tobytes() == next(logits).tobytes()
            assert ours.cycles > 0
        different = np.flatnonzero(simulated.memory != device.machine.memory)
        assert not different.size, f"DRAM differs from {different[0]:#x} on"


@pytest.mark.seconds(3)
@pytest.mark.parametrize("name", FORMATS)
def test_by_name(name, capsys):
    """A command says the same on a configuration without the format, where codes become S8."""
    words = ["run", "--model", name, "--device", "model", "--prompt", "We must", "--tokens", 8]
    answers = []
    for config in "small-lut", "small":
        code, out, _ = call(capsys, *words, "--config", config)
        assert code == 0
        answers.append(out)
    assert answers[0].startswith("We must ") and len(answers[0].strip()) > len("We must")
    assert answers[0] == answers[1]
