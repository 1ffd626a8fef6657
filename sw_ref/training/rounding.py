"""Weights and activations rounded in the forward pass as the machine has them, straight through in
the backward.

The gradient of a rounding is taken to be one (Bengio et al., arXiv:1308.3432).
"""

import torch

from . import blocks


__all__ = ["FORMATS", "activations", "codes", "scale", "vocabulary", "weights"]


FORMATS = {"ternary": 1, "sparse8": 127, "sparse4": 7}  # largest code of a format of weights
STEP = 0.3  # of 4-bit codes, in a row's RMS
EPSILON = 1e-8


def straight_through(x, rounded):
    """`rounded` in the forward pass, `x` in the backward."""
    return x + (rounded - x).detach()


def scale(w, form):
    """Scale of each row (rows, 1) of weights, whose zeros are pruned.

    Ternary rows are scaled by their mean magnitude (BitNet b1.58, arXiv:2402.17764), 8-bit rows by
    their largest. 4-bit rows clip beyond 7 * STEP times the RMS of what is not pruned.
    """
    if form == "ternary":
        return w.abs().mean(-1, keepdim=True) + EPSILON
    if form == "sparse8":
        return w.abs().amax(-1, keepdim=True) / 127 + EPSILON
    kept = (w != 0).sum(-1, keepdim=True).clamp(min=1)
    return STEP * (w.square().sum(-1, keepdim=True) / kept).sqrt() + EPSILON


def codes(w, form):
    """Integers (rows, K) and scales (rows, 1) whose product stands for float weights."""
    top, s = FORMATS[form], scale(w, form)
    return (w / s).round().clamp(-top, top), s


def weights(w, form):
    """Weights rounded to a format, or to one of `blocks.TYPES`."""
    if form in blocks.TYPES:
        return straight_through(w, blocks.weights(w.detach(), form))
    q, s = codes(w.detach(), form)
    return straight_through(w, q * s)


def vocabulary(form):
    """What the embedding, which is the head too, is rounded to where layers are in `form`."""
    return "q8_0" if form in blocks.TYPES else "sparse8"


def activations(x, group=32):
    """Groups rounded to 8 bits with a shared power of two, as :func:`sw_ref.numerics.quantize`
    does.
    """
    groups = x.float().unflatten(-1, (-1, group))
    top = groups.detach().abs().amax(-1, keepdim=True).clamp(min=2.0**-100)
    step = (top.view(torch.int32) & 0x7F800000).view(torch.float32) / 64
    rounded = (groups.detach() / step).round().clamp(-127, 127) * step
    return straight_through(groups, rounded).flatten(-2)
