"""Both devices with a toy model, and how to compare them."""

from functools import cache

import numpy as np

from mapper.compile import compile_model
from sim.fpga.device import SimDevice
from sim.functional import ModelDevice
from sim.models import configs
from sim.models.toy import toy_model


__all__ = ["CONFIGS", "toy_image", "pair", "same_step", "same_memory"]


CONTEXT = 96
CONFIGS = {name: configs.CONFIGS[name] for name in ("small", "wide", "odd")}
MODELS = {
    "small": dict(heads=6, kv_heads=2),
    "wide": dict(heads=6, kv_heads=2),
    "odd": dict(heads=10, kv_heads=2, hidden=160, ffn=320, vocab=101, tied=False),
}


@cache
def toy_image(name):
    return compile_model(toy_model(**MODELS[name]), CONFIGS[name], CONTEXT)


def pair(name):
    """Both devices of a configuration, with the toy model loaded."""
    devices = SimDevice(CONFIGS[name]), ModelDevice(CONFIGS[name])
    for device in devices:
        device.load(toy_image(name))
    return devices


def same_step(sim, model, tokens, position, head):
    """Feed both devices, and compare what they answer."""
    got, want = (device.step(tokens, position, head) for device in (sim, model))
    assert got.ids.tolist() == want.ids.tolist(), f"position {position}"
    assert got.logits.view(np.uint32).tolist() == want.logits.view(np.uint32).tolist()
    assert bool(len(got.ids)) == head and got.cycles > 0


def same_memory(sim, model):
    different = np.flatnonzero(sim.memory != model.machine.memory)
    assert not different.size, f"DRAM differs in {different.size} bytes, from {different[0]:#x} on"
