"""Logits of a model on the functional machine."""

from dataclasses import replace

import numpy as np

from mapper.compile import compile_model
from rtl.spec.config import HEAD_DIMS
from sw_ref.evaluation import EVALUATION

from ..functional import ModelDevice


__all__ = ["machine_logits"]


def machine_logits(model, ids, context, columns=EVALUATION.columns):
    """Logits of all positions, float32 (positions, vocabulary), of a :class:`~mapper.model.Model`
    that is compiled for `context` positions of a machine with so many columns."""
    dim = min(dim for dim in HEAD_DIMS if dim >= model.head_dim)
    cap = model.shape.attention_cap
    config = replace(EVALUATION, columns=columns, head_dim=dim, score_cap=cap)
    device, found = ModelDevice(config), []
    device.load(compile_model(model, config, context))
    for at in range(0, len(ids), columns):
        step = ids[at : at + columns]
        device.step(step, at, True)
        found.append(device.logits[: len(step)])
    return np.concatenate(found)
