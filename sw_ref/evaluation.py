"""How good the machine's arithmetic is: perplexity and best tokens, beside float32."""

import numpy as np

from rtl.config import Config


__all__ = ["EVALUATION", "windows", "losses", "machine_losses", "float32_losses", "top1_agreement"]


# The numbers do not depend on the configuration; this one runs fast on the functional machine.
EVALUATION = Config(name="evaluation", beat_bits=512, columns=16, lanes=16, queries=16,
                    vector_words=1 << 17, act_groups=256, program_words=4096)


def windows(ids, context):
    """Cut a text into windows of `context` tokens, each on its own; the last may be shorter."""
    cut = [ids[at:at + context] for at in range(0, len(ids), context)]
    return [w for w in cut if len(w) > 1]


def losses(logits, ids):
    """Negative log-likelihoods, in nats, of each of `ids`, given the logits before it."""
    logits = np.asarray(logits, np.float64)
    top = logits.max(-1, keepdims=True)
    total = np.log(np.exp(logits - top).sum(-1)) + top[:, 0]
    return total - logits[np.arange(len(logits)), ids]


def batches(device, ids):
    """Run a sequence, as many tokens at a time as there are columns; yield where each began.

    `device` is a :class:`sim.functional.ModelDevice`, or whatever else has the `logits` of all columns.
    """
    columns = device.config.columns
    for at in range(0, len(ids), columns):
        device.step(ids[at:at + columns], at, True)
        yield at


def machine_losses(device, texts, progress=lambda done: None):
    """Losses of the machine, over `texts`, lists of ids no longer than the context.

    `progress` is told how many losses there are.
    """
    result, done = [], 0
    for ids in texts:
        for at in batches(device, ids[:-1]):
            expected = ids[at + 1:at + 1 + device.config.columns]
            result.append(losses(device.logits[:len(expected)], expected))
            done += len(expected)
            progress(done)
    return np.concatenate(result)


def top1_agreement(device, items, progress=lambda done: None):
    """Positions, and in how many of them the machine's best token is the reference's, teacher-forced.

    `items` are pairs (prompt's ids, the reference's ids after it).
    """
    positions = agree = 0
    for prompt, expected in items:
        ids, best = [*prompt, *expected[:-1]], []
        for at in batches(device, ids):
            best += device.logits[:len(ids) - at].argmax(-1).tolist()
        agree += sum(a == b for a, b in zip(best[len(prompt) - 1:], expected))
        positions += len(expected)
        progress(positions)
    return positions, agree


def float32_losses(model, texts, progress=lambda done: None):
    """Losses of the model in float32, in numpy: layer after layer over all texts.

    `model` is a :class:`~mapper.model.Model`; `progress` is told how many layers are done.
    :class:`sw_ref.llama.Float32` is the same in PyTorch, which this does without, so that an
    evaluation needs no more than a run.
    """
    f32 = np.float32
    longest = max(map(len, texts))
    exponent = np.arange(0, model.head_dim, 2, dtype=f32) / f32(model.head_dim)
    frequency = (1 / np.float64(model.rope_theta) ** exponent).astype(f32)
    angles = (np.arange(longest, dtype=f32)[:, None] * frequency).astype(np.float64)
    cos, sin = np.cos(angles).astype(f32)[:, None], np.sin(angles).astype(f32)[:, None]
    shared = model.heads // model.kv_heads

    def norm(x, gain):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + f32(model.rms_eps)) * gain

    def rotate(x):
        low, high = np.split(x, 2, -1)
        c, s = cos[:len(x)], sin[:len(x)]
        return np.concatenate([low * c - high * s, high * c + low * s], -1)

    def attention(q, k, v):
        q, k, v = (x.transpose(1, 0, 2) for x in (rotate(q), np.repeat(rotate(k), shared, 1),
                                                  np.repeat(v, shared, 1)))
        scores = q @ k.transpose(0, 2, 1) / f32(np.sqrt(model.head_dim))
        scores += np.triu(np.full(scores.shape[1:], -np.inf, f32), 1)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return (weights @ v).transpose(1, 0, 2).reshape(q.shape[1], -1)

    embedding = model.embedding.float32()
    states = [embedding[ids] for ids in texts]
    for n, layer in enumerate(model.layers):
        w = {name: linear.float32().T for name, linear in layer.linears.items()}
        for i, x in enumerate(states):
            h = norm(x, layer.attn_norm)
            q, k, v = ((h @ w[name]).reshape(len(x), -1, model.head_dim) for name in "qkv")
            x = x + attention(q, k, v) @ w["o"]
            h = norm(x, layer.ffn_norm)
            gate = h @ w["gate"]
            with np.errstate(over="ignore"):  # 1 / inf is the 0 that is meant
                gate /= 1 + np.exp(-gate)
            states[i] = x + (gate * (h @ w["up"])) @ w["down"]
        progress(n + 1)
    head = embedding if model.tied else model.head.float32()
    return np.concatenate([losses(norm(x[:-1], model.norm) @ head.T, ids[1:])
                           for x, ids in zip(states, texts)])
