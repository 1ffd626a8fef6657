"""GGUF's tensor types that training rounds to, as blocks along K: scales and codes of weights.

A weight is ``d * scale * code - dmin * least``. `d` and `dmin` are half floats of a block, `scale`
and `least` integers of a group, and what is said of them is all that the type's bytes can hold:
what training computes with is what readers of the file find. Two groups of 16 share a scale in
Q2_K and Q3_K, as the machine's groups of 32 need it.
"""

from dataclasses import dataclass

import torch


__all__ = ["TYPES", "Blocks", "fit", "weights"]


LEAST = 2.0**-14  # of half floats with whole mantissas
# Steps between codes, in the RMS of a group, of the least squared error for normal weights.
STEP2, STEP3 = 1.0, 0.55


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """A matrix in blocks.

    Attributes
    ----------
    codes : float (rows, blocks, groups, elements)
        Integers from 0.
    d, dmin : float (rows, blocks, 1, 1)
        Values of half floats.
    scale, least : float (rows, blocks, groups, 1)
        Integers.
    """

    codes: torch.Tensor
    d: torch.Tensor
    dmin: torch.Tensor
    scale: torch.Tensor
    least: torch.Tensor


def half(x, bits=11):
    """The nearest half floats, with mantissas of `bits` bits. (`torch.compile` leaves a cast to
    half and back out.)"""
    spare = 24 - bits
    rounded = x.clamp(min=LEAST).view(torch.int32) + (1 << spare - 1)
    return (rounded >> spare << spare).view(torch.float32)


def grouped(w, groups, elements):
    """Weights (rows, K) as (rows, blocks, groups, elements)."""
    return w.unflatten(-1, (-1, groups, elements))


def q1_0(w):
    """d or -d: the mean magnitude of 128 weights (XNOR-Net, arXiv:1603.05279)."""
    w = grouped(w, 1, 128)
    d, one = half(w.abs().mean((-2, -1), keepdim=True)), torch.ones_like(w[..., :1])
    return Blocks(codes=(w >= 0).float(), d=2 * d, dmin=d, scale=one, least=one)


def q2_k(w):
    """Four even steps about zero, by the RMS of each 32."""
    w = grouped(w, 8, 32)
    step = STEP2 * w.square().mean(-1, keepdim=True).sqrt()
    d = half(step.amax(-2, keepdim=True) / 15, bits=9)  # so that 1.5 d is a half float, too
    dmin, scale = 1.5 * d, (step / d).round().clamp(1, 15)
    codes = ((w + dmin * scale) / (d * scale)).round().clamp(0, 3)
    return Blocks(codes=codes, d=d, dmin=dmin, scale=scale, least=scale)


def q3_k(w):
    """Eight even steps from -4 to 3, by the RMS of each 32; scales are negative where that lets
    the largest weight be -4."""
    w = grouped(w, 8, 32)
    step = STEP3 * w.square().mean(-1, keepdim=True).sqrt()
    d = half(step.amax(-2, keepdim=True) / 31)
    largest = w.gather(-1, w.abs().argmax(-1, keepdim=True))
    scale = (step / d).round().clamp(1, 31) * torch.where(largest > 0, -1.0, 1.0)
    codes = (w / (d * scale)).round().clamp(-4, 3) + 4
    return Blocks(codes=codes, d=d, dmin=d, scale=scale, least=4 * scale)


def q8_0(w):
    """Bytes of 32 weights, whose largest is 127 in magnitude."""
    w = grouped(w, 1, 32)
    d, one = half(w.abs().amax(-1, keepdim=True) / 127), torch.ones_like(w[..., :1])
    codes = (w / d).round().clamp(-127, 127) + 128
    return Blocks(codes=codes, d=d, dmin=d, scale=one, least=128 * one)


TYPES = {"q1_0": q1_0, "q2_k": q2_k, "q3_k": q3_k, "q8_0": q8_0}


def fit(w, form):
    """The :class:`Blocks` that weights (rows, K) are rounded to."""
    return TYPES[form](w)


def weights(w, form):
    """Weights (rows, K) rounded to a type."""
    its = fit(w, form)
    return (its.d * its.scale * its.codes - its.dmin * its.least).flatten(1)
