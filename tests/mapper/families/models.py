"""Models that `transformers` makes, each once, and the logits of the functional machine."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import numpy as np

from mapper.compile import compile_model
from rtl.spec.config import HEAD_DIMS
from sim.functional import ModelDevice
from sim.models.hf import HF_MODELS
from sw_ref.evaluation import EVALUATION

from ...chosen import ALL


__all__ = ["CHOSEN", "IDS", "KEPT", "folder", "logits"]


KEPT = ("tinyllama", "gemma3", "gpt2")  # what is always run
CHOSEN = [*HF_MODELS] if ALL else KEPT
IDS = [int(n) for n in np.random.default_rng(5).integers(3, 288, 60)]
CONTEXT = 128
SCRATCH = TemporaryDirectory()  # as long as the tests run


def folder():
    """A new folder."""
    return Path(mkdtemp(dir=SCRATCH.name))


def logits(model):
    """Logits of the functional machine, (positions, vocabulary)."""
    dim = min(dim for dim in HEAD_DIMS if dim >= model.head_dim)
    config = replace(EVALUATION, head_dim=dim, score_cap=model.shape.attention_cap)
    device, found = ModelDevice(config), []
    device.load(compile_model(model, config, CONTEXT))
    for at in range(0, len(IDS), config.columns):
        ids = IDS[at : at + config.columns]
        device.step(ids, at, True)
        found.append(device.logits[: len(ids)])
    return np.concatenate(found)
