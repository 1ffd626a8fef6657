"""How good the machine's arithmetic is: divergence, perplexity and best tokens, beside float32."""

from dataclasses import dataclass

import numpy as np

from rtl.spec.config import CORES, Config

from .best import best
from .float32 import Float32, capped
from .graph import Repeat
from .interpreter import TOKENS


__all__ = [
    "EVALUATION",
    "Compared",
    "best_logits",
    "compared",
    "log_probabilities",
    "losses",
    "top1_agreement",
    "windows",
]


# The numbers depend on a configuration's formats alone; this one runs fast on the functional
# machine, and has every format that its core takes: a file's codes are kept.
EVALUATION = Config(
    name="evaluation",
    beat_bits=512,
    columns=16,
    lanes=16,
    queries=16,
    vector_words=1 << 18,
    act_groups=1024,
    program_words=4096,
    core="lut",
    formats=CORES["lut"],
)


def windows(ids, context):
    """Cut a text into windows of `context` tokens, each on its own; the last may be shorter."""
    cut = [ids[at : at + context] for at in range(0, len(ids), context)]
    return [w for w in cut if len(w) > 1]


def log_probabilities(logits):
    """Natural logarithms of the softmax along the last axis, float64."""
    below = np.asarray(logits, np.float64)
    below = below - below.max(-1, keepdims=True)
    return below - np.log(np.exp(below).sum(-1, keepdims=True))


def losses(logits, ids):
    """Negative log-likelihoods, in nats, of each of `ids`, given the logits before it."""
    return -log_probabilities(logits)[np.arange(len(logits)), ids]


def batches(device, ids):
    """Run a sequence, as many tokens at a time as there are columns; yield where each began.

    `device` is a :class:`sim.functional.ModelDevice`, or whatever else has the `logits` of all
    columns.
    """
    columns = device.config.columns
    for at in range(0, len(ids), columns):
        device.step(ids[at : at + columns], at, True)
        yield at


def all_logits(device, count):
    """Logits of the last step's first columns, float32, capped where the model's are: hosts do
    that."""
    return capped(device.logits[:count], device.image.model["logit_cap"])


def best_logits(device, ids):
    """The best of each position of one sequence: ids, int32 (positions, 64), and their logits,
    float32, in the machine's order. Of a smaller vocabulary, as many as it has."""
    rows = []
    for at in batches(device, ids):
        rows += [best(row)[: len(row)] for row in all_logits(device, len(ids) - at)]
    pairs = np.array(rows, [("id", np.int32), ("logit", np.float32)])
    return pairs["id"], pairs["logit"]


@dataclass(frozen=True, eq=False)
class Compared:
    """The machine beside float32.

    Attributes
    ----------
    kl : float64 (positions,)
        Kullback-Leibler divergence of the machine's distribution of tokens from float32's, in nats,
        over the whole vocabulary.
    agree : bool (positions,)
        Whether the best token is the same.
    losses, reference : float64
        Of the machine and of float32, of every token that has one before it.
    """

    kl: np.ndarray
    agree: np.ndarray
    losses: np.ndarray
    reference: np.ndarray


class _Chunked(Float32):
    """Logits of some positions at a time: those of a window would take gigabytes."""

    def __init__(self, model, positions, progress):
        super().__init__(model, progress)
        self.positions = positions

    def __call__(self, texts):
        """Yield the logits, float32 (positions, vocab), of parts of each of `texts` in turn."""
        nodes, tensors = self.model.graph.nodes, self.tensors(None)
        behind = 1 + max(n for n, node in enumerate(nodes) if isinstance(node, Repeat))
        scopes = [{TOKENS: ids} for ids in texts]
        for x in self.run(nodes[:behind], scopes, tensors):
            parts = (x[at : at + self.positions] for at in range(0, len(x), self.positions))
            yield from self.run(
                nodes[behind:], ({nodes[behind - 1].name: part} for part in parts), tensors
            )


def compared(model, device, texts, progress=lambda what, done, total: None):
    """Compare the machine with the model in float32 and numpy: a :class:`Compared`.

    :class:`sw_ref.pytorch.interpreter.Float32` is the same in PyTorch, which this does without, so
    that an evaluation needs no more than a run.

    Parameters
    ----------
    model : :class:`~mapper.model.Model`
    device : :class:`sim.functional.ModelDevice`
        Of the same model.
    texts : list of lists of ids
        Each begins anew, and is no longer than the context.
    progress : function
        Told what is done, how much of it, and of how much.
    """
    layers, positions = len(model.layers), sum(map(len, texts))
    reference = _Chunked(
        model, device.config.columns, lambda done: progress("float32", done, layers)
    )(texts)
    rows = []
    for ids in texts:
        for at in batches(device, ids):
            count = min(device.config.columns, len(ids) - at)
            machine, exact = map(log_probabilities, (all_logits(device, count), next(reference)))
            following = np.array(ids[at + 1 : at + count + 1], int)
            picked = np.arange(len(following)), following
            rows.append(
                (
                    (np.exp(exact) * (exact - machine)).sum(-1),
                    machine.argmax(-1) == exact.argmax(-1),
                    -machine[picked],
                    -exact[picked],
                )
            )
            progress("the machine", sum(len(row[0]) for row in rows), positions)
    return Compared(*map(np.concatenate, zip(*rows)))


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
