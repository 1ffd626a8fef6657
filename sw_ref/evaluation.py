"""How good the machine's arithmetic is: perplexity and best tokens, beside float32."""

import numpy as np

from rtl.spec.config import CORES, Config

from .float32 import Float32


__all__ = ["EVALUATION", "windows", "losses", "machine_losses", "float32_losses", "top1_agreement"]


# The numbers depend on a configuration's formats alone; this one runs fast on the functional
# machine, and has every format that its core takes: a file's codes are kept.
EVALUATION = Config(
    name="evaluation",
    beat_bits=512,
    columns=16,
    lanes=16,
    queries=16,
    vector_words=1 << 17,
    act_groups=256,
    program_words=4096,
    core="lut",
    formats=CORES["lut"],
)


def windows(ids, context):
    """Cut a text into windows of `context` tokens, each on its own; the last may be shorter."""
    cut = [ids[at : at + context] for at in range(0, len(ids), context)]
    return [w for w in cut if len(w) > 1]


def losses(logits, ids):
    """Negative log-likelihoods, in nats, of each of `ids`, given the logits before it."""
    logits = np.asarray(logits, np.float64)
    top = logits.max(-1, keepdims=True)
    total = np.log(np.exp(logits - top).sum(-1)) + top[:, 0]
    return total - logits[np.arange(len(logits)), ids]


def batches(device, ids):
    """Run a sequence, as many tokens at a time as there are columns; yield where each began.

    `device` is a :class:`sim.functional.ModelDevice`, or whatever else has the `logits` of all
    columns.
    """
    columns = device.config.columns
    for at in range(0, len(ids), columns):
        device.step(ids[at : at + columns], at, True)
        yield at


def machine_losses(device, texts, progress=lambda done: None):
    """Losses of the machine, over `texts`, lists of ids no longer than the context.

    `progress` is told how many losses there are.
    """
    result, done = [], 0
    for ids in texts:
        for at in batches(device, ids[:-1]):
            expected = ids[at + 1 : at + 1 + device.config.columns]
            result.append(losses(device.logits[: len(expected)], expected))
            done += len(expected)
            progress(done)
    return np.concatenate(result)


def top1_agreement(device, items, progress=lambda done: None):
    """Positions, and in how many of them the machine's best token is the reference's,
    teacher-forced.

    `items` are pairs (prompt's ids, the reference's ids after it).
    """
    positions = agree = 0
    for prompt, expected in items:
        ids, best = [*prompt, *expected[:-1]], []
        for at in batches(device, ids):
            best += device.logits[: len(ids) - at].argmax(-1).tolist()
        agree += sum(a == b for a, b in zip(best[len(prompt) - 1 :], expected))
        positions += len(expected)
        progress(positions)
    return positions, agree


class _Predictions(Float32):
    """Without the logits behind the last token, which nothing is compared with."""

    def head(self, node, tensors, x):
        return super().head(node, tensors, x[:-1])


def float32_losses(model, texts, progress=lambda done: None):
    """Losses of the model in float32, in numpy: layer after layer over all texts.

    `model` is a :class:`~mapper.model.Model`; `progress` is told how many layers are done.
    :class:`sw_ref.pytorch.interpreter.Float32` is the same in PyTorch, which this does without, so
    that an evaluation needs no more than a run.
    """
    logits = _Predictions(model, progress)(texts)
    return np.concatenate([losses(found, ids[1:]) for found, ids in zip(logits, texts)])
