"""Models that `transformers` makes, each once, and the logits of the functional machine."""

from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import numpy as np

from sim.models.hf import HF_MODELS
from sim.models.logits import machine_logits

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
    return machine_logits(model, IDS, CONTEXT)
