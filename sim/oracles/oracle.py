"""An oracle: one function of the machine, computed in three independent ways that must agree."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np
import torch

from sw_ref.pytorch.ops import MAX, MIN_NORMAL, number


__all__ = ["ROUNDING", "FLUSH", "Oracle", "OracleError", "Within", "limited", "near"]


# Operands are small: threads would only wait for each other.
torch.set_num_threads(1)

ROUNDING = 2.0**-24 + 2.0**-48  # relative: half a unit of fp32's last place, and float64's own
FLUSH = MIN_NORMAL  # absolute: what is below becomes a zero

_used = set()


class OracleError(AssertionError):
    """The computations disagree: one of them is wrong, and no hardware has been looked at yet."""


class Within(NamedTuple):
    """What plain arithmetic gives, float64, and how far the machine may be from it."""

    value: torch.Tensor
    bound: torch.Tensor


def limited(x):
    """Numbers as the machine can hold them: within +-MAX."""
    return x.clamp(-MAX, MAX)


def near(value, roundings, flush=FLUSH):
    """As many roundings from a number: a relative error each, and what is flushed to zero."""
    value = limited(value)
    return Within(value, roundings * ROUNDING * value.abs() + flush)


def _checked(x):
    """An array of one of the types that the machine knows."""
    if x.dtype != np.float32 and x.dtype.kind not in "iu":
        raise TypeError(f"Arrays must be float32 or integers, not {x.dtype}")
    return x


def _tensor(x):
    """Arrays as tensors: float32 as they are, to the bit, and integers as int64."""
    if not isinstance(x, np.ndarray):
        return x
    x = _checked(x)
    return torch.from_numpy(x.astype(np.float32 if x.dtype == np.float32 else np.int64, order="C"))


def _outputs(x):
    return x if isinstance(x, tuple) else (x,)


def _bits(x):
    """Patterns of float32, and integers as they are, int64."""
    x = _checked(x.numpy() if isinstance(x, torch.Tensor) else np.asarray(x))
    return (x.view(np.uint32) if x.dtype == np.float32 else x).astype(np.int64)


def _values(outputs, *inputs):
    """Numbers, float64, that outputs stand for."""
    return tuple(number(x) if x.dtype == torch.float32 else x.to(torch.float64) for x in outputs)


def _record(name):
    """Note that an oracle was asked, in the file that the runner names as `ORACLES`."""
    if name not in _used:
        _used.add(name)
        if "ORACLES" in os.environ:
            Path(os.environ["ORACLES"]).write_text("\n".join(sorted(_used)) + "\n")


@dataclass(frozen=True)
class Oracle:
    """One function of the machine.

    Parameters
    ----------
    name : :class:`str`
        Its module's, and its own in that: ``fp.ADD``.
    reference : callable
        The definition: `sw_ref`, on numpy arrays. Returns an array, or a tuple of them.
    exact : callable
        The same bits from PyTorch, by code that was written from the definition. The arrays come as
        tensors, those of integers as int64.
    plain : callable or None
        What a user of PyTorch would write, in float64, for what models call by itself. Returns
        :class:`Within` for an output, or a tuple of them, with None for an output that it says
        nothing about. The first paragraph of its docstring says what it computes, the second
        derives the bound from the formats' widths.
    values : callable
        Makes of outputs and inputs, all tensors, what `plain` gives; for outputs that stand for a
        number only together.
    """

    name: str
    reference: Callable
    exact: Callable
    plain: Callable | None = None
    values: Callable = field(default=_values)

    def expect(self, *inputs):
        """Outputs, as `reference` returns them, for inputs: arrays, and what is none.

        Raises :exc:`OracleError` if `reference` and `exact` differ in a bit, if an fp32 output has
        an exponent field of 255, or if an output is further from `plain` than its bound.
        """
        _record(self.name)
        with np.errstate(over="ignore"):
            result = self.reference(*inputs)
        tensors = [_tensor(x) for x in inputs]
        outputs = _outputs(result)
        both = zip(outputs, _outputs(self.exact(*tensors)), strict=True)
        for n, (ours, theirs) in enumerate(both):
            self._same(n, _bits(ours), _bits(theirs))
            ours = np.asarray(ours)
            if ours.dtype == np.float32 and not np.isfinite(ours).all():
                raise OracleError(f"{self.name}: output {n} has an exponent field of 255")
        if self.plain is not None:
            values = self.values([_tensor(np.asarray(x)) for x in outputs], *tensors)
            plain = self.plain(*tensors)
            plain = (plain,) if isinstance(plain, Within) else plain
            for n, (value, within) in enumerate(zip(values, plain, strict=True)):
                if within is not None:
                    self._near(n, value, *within)
        return result

    def _same(self, n, ours, theirs):
        if ours.shape != theirs.shape:
            raise OracleError(
                f"{self.name}: output {n} is {ours.shape} in sw_ref, {theirs.shape} in torch"
            )
        wrong = np.argwhere(ours != theirs)
        if len(wrong):
            at = tuple(wrong[0].tolist())
            raise OracleError(
                f"{self.name}: output {n} at {at} is {ours[at]:#x} in sw_ref, "
                f"{theirs[at]:#x} in torch"
            )

    def _near(self, n, value, plain, bound):
        if value.shape != plain.shape:
            raise OracleError(
                f"{self.name}: output {n} is {tuple(value.shape)}, "
                f"{tuple(plain.shape)} in plain torch"
            )
        wrong = torch.argwhere(~((value - plain).abs() <= bound))  # a NaN is wrong, too
        if len(wrong):
            at = tuple(wrong[0].tolist())
            raise OracleError(
                f"{self.name}: output {n} at {at} is {value[at]:.9g}, and {plain[at]:.9g} "
                f"in plain torch, within {bound.expand_as(plain)[at]:.3g}"
            )
