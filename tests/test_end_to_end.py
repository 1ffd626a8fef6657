"""The simulated FPGA and the functional model run the same images, and agree in every bit."""

from random import Random

import numpy as np
import pytest

from host.device import DeviceError
from host.language.generate import Session
from mapper.compile import compile_model
from rtl.spec import dram
from rtl.spec.config import KV_BLOCK
from rtl.spec.csr import BEST
from sim.fpga.device import SimDevice
from sim.functional import ModelDevice
from sim.models.toy import toy_model

from .devices import CONFIGS, CONTEXT, pair, same_memory, same_step, toy_image


pytestmark = pytest.mark.seconds(60)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_bit(name):
    """Batches of all sizes, with and without logits, over three blocks of the KV cache."""
    sim, model = pair(name)
    random, vocab = Random(name), toy_image(name).vocab
    position, sizes = 0, set()
    with sim:
        while position < 2 * KV_BLOCK + 8:
            tokens = [random.randrange(vocab) for _ in range(random.randint(1, sim.config.columns))]
            same_step(sim, model, tokens, position, random.random() < 0.7)
            position += len(tokens)
            sizes.add(len(tokens))
        assert sizes == set(range(1, sim.config.columns + 1))
        same_memory(sim, model)
        # Back to an earlier position: what is behind it must not matter.
        same_step(sim, model, [1], KV_BLOCK - 1, True)
        same_step(sim, model, [2], KV_BLOCK, True)
        same_memory(sim, model)
        assert (sim.memory[len(toy_image(name).memory) :] != 0).any()


@pytest.mark.parametrize("vocab", [1, 5, 65])
def test_small_vocabulary(vocab):
    """The machine fills the list of best logits up; the host offers no such entry as a token."""
    image = compile_model(toy_model(vocab=vocab, heads=6, kv_heads=2), CONFIGS["small"], CONTEXT)
    with SimDevice(CONFIGS["small"]) as sim:
        model = ModelDevice(CONFIGS["small"])
        for device in sim, model:
            device.load(image)
        for position in range(3):
            same_step(sim, model, [position % vocab], position, True)
            step = model.step([position % vocab], position, True)
            assert len(set(step.ids)) == min(BEST, vocab) and max(step.ids) < vocab
        best = np.array(sim.get_all("BEST"), np.uint32).reshape(-1, 2)
        assert best.tolist() == [[value.view(np.uint32), n] for n, value in model.machine.best]


@pytest.mark.parametrize("name", CONFIGS)
def test_batches_do_not_matter(name):
    """Tokens one at a time and in batches leave the same KV cache, and the same logits."""
    tokens = [Random(name).randrange(toy_image(name).vocab) for _ in range(KV_BLOCK + 5)]
    found = []
    for columns in {1, CONFIGS[name].columns}:
        with SimDevice(CONFIGS[name]) as device:
            device.load(toy_image(name))
            for at in range(0, len(tokens), columns):
                step = device.step(tokens[at : at + columns], at, at + columns >= len(tokens))
            found.append((step.ids.tolist(), step.logits.tobytes(), device.memory.tobytes()))
    assert len(set(map(repr, found))) == 1


@pytest.mark.parametrize("name", CONFIGS)
def test_generation(name):
    """The host's token loop gets the same tokens from both, and its counts are those of the
    device.
    """
    image, results = toy_image(name), []
    for device in pair(name):
        session = Session(
            device, context=image.context, columns=device.config.columns, vocab=image.vocab
        )
        first = list(session.generate([5, 3, 8, 1, 9], 20))
        # A second turn keeps what the device holds.
        second = list(session.generate([*session.ids, first[-1].id, 4, 7], 20))
        assert second[0].fed == 3
        results.append([(t.id, t.position, t.top_ids, t.top_logits, t.fed) for t in first + second])
        assert len({t.id for t in first + second}) > 5
        device.close()
    assert results[0] == results[1]


@pytest.mark.parametrize("name, other", [("small", "wide"), ("wide", "small")])
def test_image_for_another_configuration(name, other):
    sim, model = pair(name)
    with sim:
        for device in (sim, model):
            with pytest.raises(
                DeviceError,
                match=f"configuration '{name}' has digest "
                f"{CONFIGS[name].digest}, but the image was compiled for "
                f"{CONFIGS[other].digest}",
            ):
                device.load(toy_image(other))
        # It still has the old one.
        same_step(sim, model, [1], 0, True)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("memory", ["ideal", "ddr4-2400-x64"])
def test_dram_timing_changes_no_result(name, memory):
    model = pair(name)[1]
    with SimDevice(CONFIGS[name], memory=dram.get(memory)) as sim:
        sim.load(toy_image(name))
        for position in range(3):
            same_step(sim, model, [position + 1], position, True)
        same_memory(sim, model)
