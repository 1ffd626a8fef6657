"""Oracles of the fp32 operators, and of LOAD."""

import numpy as np
import torch

from sw_ref import numerics
from sw_ref.pytorch import ops as torch_ops
from sw_ref.pytorch.ops import number

from .oracle import Oracle, Within, limited, near


__all__ = ["ADD", "MULTIPLY", "FROM_INT", "LOAD"]


def add(a, b):
    """`a + b`

    One rounding: 2^-24 of the sum.
    """
    return near(number(a) + number(b), 1)


def multiply(a, b):
    """`a * b`

    One rounding: 2^-24 of the product.
    """
    return near(number(a) * number(b), 1)


def from_int_reference(i, exponent):
    """`numerics.shifted` of the nearest fp32"""
    return numerics.shifted(i.astype(np.float32), exponent)


def from_int(i, exponent):
    """`torch.ldexp(i, exponent)`

    One rounding: 2^-24 of the number.
    """
    return near(torch.ldexp(i.double(), exponent), 1)


def load(words):
    """`words`

    None, within +-MAX.
    """
    value = limited(number(words))
    return Within(value, torch.zeros_like(value))


ADD = Oracle("fp.ADD", numerics.add, torch_ops.add, add)
MULTIPLY = Oracle("fp.MULTIPLY", numerics.product, torch_ops.multiply, multiply)
FROM_INT = Oracle("fp.FROM_INT", from_int_reference, torch_ops.from_int, from_int)
LOAD = Oracle("fp.LOAD", numerics.loaded, torch_ops.load, load)
