"""Oracles of the linear cores and the linear unit."""

import numpy as np
import torch
from torch.nn import functional as F

from rtl.spec import formats
from rtl.spec.csr import BEST
from sw_ref import best, numerics
from sw_ref.pytorch import linear as torch_linear, ops as torch_ops
from sw_ref.pytorch.ops import number

from .oracle import FLUSH, ROUNDING, Oracle, Within, limited, near


__all__ = [
    "WEIGHTS",
    "PRODUCTS",
    "ALIGNMENT",
    "GROUP_SUMS",
    "EXACT_SUMS",
    "ROW_SCALE",
    "LINEAR",
    "EMBEDDING",
    "BEST_LOGITS",
]


def exactly(value):
    """A number that leaves no room for an error."""
    return Within(value, torch.zeros_like(value))


def weights_reference(fmt, codes, scale, centre, centre_shift):
    """`rtl.spec.formats.integers`"""
    return formats.integers(fmt, codes, scale, centre, centre_shift, np.int64)


def weights(fmt, codes, scale, centre, centre_shift):
    """`(code - zero_point) * step`, or `book[code] * step`, group by group

    None.
    """
    its = formats.FORMATS[fmt]
    values = codes.double()
    if book := getattr(its, "book", None):
        values = F.embedding(codes.long(), torch.tensor(book).double()[:, None])[..., 0]
    groups = values.unflatten(1, (-1, its.group))
    scale, centre = scale.double()[..., None], centre.double()[..., None]
    if its.centred:
        groups = 2 * scale * (groups - its.high / 2) + centre * 2.0**centre_shift
    elif its.scaled:
        groups = scale * groups
    return exactly(groups.flatten(1))


def products_reference(weight, acts):
    """`numerics.linear` of one group, with row scales of 1"""
    weight, acts = np.asarray(weight), np.asarray(acts)
    one = np.full((len(acts), 1), 127 + 6)  # the exponent of a group whose steps are 1
    return numerics.linear(weight.astype(np.float64), np.float32(1), acts, one).astype(np.int64)


def products(weight, acts):
    """`linear(acts, weight)`

    None: sums of integers below 2^53.
    """
    return exactly(F.linear(acts.double(), weight.double()))


def alignment_reference(exponents):
    """`numerics.group_shift`"""
    return numerics.group_shift(exponents), exponents.max(-1)


def group_sums(sums, totals, scale, centre, left):
    """`(sums * scale + total * centre) * 2**shift`

    None: below 2^53.
    """
    factor = torch.where(left < 0, 0.0, torch.exp2(left.double()))
    return exactly((sums.double() * scale + totals.double()[:, None] * centre) * factor[:, None])


def exact_sums_reference(weight, q, exponents):
    """`numerics.exact_sums`"""
    return numerics.exact_sums(weight.astype(np.float64), q, exponents).astype(np.int64)


def exact_sums(weight, q, exponent):
    """`linear(x, weight)` of the dequantized activations, in steps of the finest group

    What groups more than 2^-15 below the largest would add, and float64's own roundings.
    """
    distance = exponent.amax(-1, keepdim=True) - exponent
    step = torch.exp2(15 - distance.double())
    x = (q.double().unflatten(-1, (-1, 32)) * step[..., None]).flatten(-2)
    dropped = x.abs() * (distance > 15).repeat_interleave(32, -1)
    weight = weight.double()
    slack = F.linear(x.abs(), weight.abs()) * weight.shape[1] * 2.0**-53
    return Within(F.linear(x, weight), F.linear(dropped, weight.abs()) + slack)


def row_scale(total, scale, top):
    """`total * scale * 2**(top - 148)`

    Two roundings, of the sum and of the product: 2^-23 of it. The product is limited, or flushed to
    zero, before the power of two.
    """
    power = torch.exp2(top.double() - 148)
    value, bound = near(total.double() * number(scale), 2)
    return Within(limited(value * power), bound * power + FLUSH)


def linear_reference(weight, row_scale, x):
    """`numerics.linear` of `numerics.quantize`"""
    return numerics.linear(weight.astype(np.float64), row_scale, *numerics.quantize(x))


def linear(weight, row_scale, x):
    """`linear(x, weight * row_scale)`

    Each activation is off by half a step of its group, 2^-7 of the power of two of the group's
    largest; by one where it is limited to 127 steps; and by itself in groups more than 2^-15 below
    the largest. Times the weights' magnitudes, and two roundings: 2^-23. Weights are exact.
    """
    exact, scale = number(x), number(row_scale)
    groups = exact.abs().unflatten(-1, (-1, 32))
    exponent = (x.view(torch.int32) >> 23 & 255).unflatten(-1, (-1, 32)).amax(-1)
    step = torch.exp2(exponent.double() - 133)[..., None]
    error = torch.where(groups > 127 * step, step, step / 2)
    top = exponent.amax(-1, keepdim=True)
    error = torch.where((top - exponent > 15)[..., None], groups, error).flatten(-2)
    # In steps of 2**(top - 148), as the machine has it until the last power of two.
    unit = torch.exp2(148.0 - top)
    matrix = weight.double() * scale[:, None]
    value, bound = near(F.linear(exact * unit, matrix), 2)
    slack = F.linear(exact.abs() * unit, matrix.abs()) * weight.shape[1] * 2.0**-53
    bound = bound + (1 + 2 * ROUNDING) * F.linear(error * unit, matrix.abs()) + slack
    return Within(limited(value / unit), bound / unit + FLUSH)


def embedding_reference(weight, row_scale, row):
    """`numerics.product` of a row and its scale"""
    return numerics.product(weight[row], row_scale[row])


def embedding_exact(weight, row_scale, row):
    """`torch_ops.multiply` of a row and its scale"""
    return torch_ops.multiply(weight[row].float(), row_scale[row])


def embedding(weight, row_scale, row):
    """`embedding(row, weight * row_scale)`

    One rounding: 2^-24 of the number. Weights are exact.
    """
    return near(F.embedding(torch.tensor(row), weight.double() * number(row_scale)[:, None]), 1)


def best_reference(logits):
    """`best.best`"""
    entries = best.best(logits) if len(logits) else [best.PADDING] * BEST
    ids, values = zip(*entries)
    return np.array(ids), np.array(values, np.float32)


def best_logits(logits):
    """`topk(logits, 64)`, its values

    None.
    """
    value, _ = torch.topk(number(logits), min(BEST, len(logits)))
    return None, exactly(F.pad(value, (0, BEST - len(value)), value=-torch_ops.MAX))


WEIGHTS = Oracle("linear.WEIGHTS", weights_reference, torch_linear.weights, weights)
PRODUCTS = Oracle("linear.PRODUCTS", products_reference, torch_linear.products, products)
ALIGNMENT = Oracle("linear.ALIGNMENT", alignment_reference, torch_linear.alignment)
GROUP_SUMS = Oracle("linear.GROUP_SUMS", numerics.group_sums, torch_linear.group_sums, group_sums)
EXACT_SUMS = Oracle("linear.EXACT_SUMS", exact_sums_reference, torch_linear.exact_sums, exact_sums)
ROW_SCALE = Oracle("linear.ROW_SCALE", numerics.linear_scale, torch_linear.scaled, row_scale)
LINEAR = Oracle("linear.LINEAR", linear_reference, torch_linear.linear, linear)
EMBEDDING = Oracle("linear.EMBEDDING", embedding_reference, embedding_exact, embedding)
BEST_LOGITS = Oracle("linear.BEST_LOGITS", best_reference, torch_linear.best, best_logits)
