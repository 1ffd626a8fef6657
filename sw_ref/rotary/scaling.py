"""Frequencies of a rotary embedding, with every way to scale them, and their table."""

import math
from dataclasses import dataclass

import numpy as np


__all__ = ["KINDS", "RopeScaling", "frequencies", "table"]


f32 = np.float32


@dataclass(frozen=True)
class RopeScaling:
    """How the frequencies of a rotary embedding are scaled.

    Attributes
    ----------
    kind : :class:`str`
        One of :data:`KINDS`.
    factor : :class:`float`
        How many times longer a context has become: all but ``default`` and ``longrope``.
    original : :class:`int`
        Positions that the model was trained on: ``llama3``, ``yarn``, ``dynamic``.
    context : :class:`int`
        Positions of the table, with which the base of ``dynamic`` grows beyond `original`.
    low_freq_factor, high_freq_factor : :class:`float`
        ``llama3``: turns in `original` positions below which a frequency is divided, and above
        which it is kept.
    beta_fast, beta_slow : :class:`float`
        ``yarn``: turns in `original` positions above which a frequency is kept, and below which it
        is divided.
    truncate : :class:`bool`
        ``yarn``: the ramp between the two begins and ends at whole frequencies.
    factors : tuple of :class:`float`
        Divide the frequencies, one each; none where it is empty. ``longrope`` is these alone.
    attention : :class:`float`
        Cosines and sines are multiplied with it.
    """

    kind: str = "default"
    factor: float = 1.0
    original: int = 0
    context: int = 0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True
    factors: tuple[float, ...] = ()
    attention: float = 1.0

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"RoPE scaling must be one of {', '.join(KINDS)}, not {self.kind!r}")


def _default(scaling, dim, theta):
    return _powers(dim, theta)


def _linear(scaling, dim, theta):
    return _powers(dim, theta) / f32(scaling.factor)


def _dynamic(scaling, dim, theta):
    longer = max(scaling.context, scaling.original) / scaling.original
    stretch = scaling.factor * longer - (scaling.factor - 1)
    return _powers(dim, theta * stretch ** (dim / (dim - 2)))


def _llama3(scaling, dim, theta):
    kept = _powers(dim, theta)
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    turns = scaling.original * kept / f32(2 * math.pi)
    share = np.clip((turns - f32(low)) / f32(high - low), 0, 1)
    return (1 - share) * kept / f32(scaling.factor) + share * kept


def _yarn(scaling, dim, theta):
    kept = _powers(dim, theta)

    def index(turns):
        """Of the frequency that makes `turns` in the original context."""
        return dim * math.log(scaling.original / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low, high = index(scaling.beta_fast), index(scaling.beta_slow)
    if scaling.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dim - 1)
    ramp = (np.arange(dim // 2, dtype=f32) - f32(low)) / f32(high - low if high != low else 0.001)
    share = np.clip(ramp, 0, 1)
    return kept / f32(scaling.factor) * share + kept * (1 - share)


# What each makes of the frequencies, before `factors` divide them.
_FREQUENCIES = {
    "default": _default,
    "linear": _linear,
    "dynamic": _dynamic,
    "llama3": _llama3,
    "yarn": _yarn,
    "longrope": _default,
}
KINDS = tuple(_FREQUENCIES)


def _powers(dim, theta):
    """theta ** (-2 i / dim), float32."""
    exponent = np.arange(0, dim, 2, dtype=f32) / f32(dim)
    return (1 / np.float64(theta) ** exponent).astype(f32)


def frequencies(dim, theta, scaling=RopeScaling()):
    """Radians per position, float32 (dim / 2,), of `dim` numbers that are rotated."""
    found = _FREQUENCIES[scaling.kind](scaling, dim, theta)
    if scaling.factors:
        if len(scaling.factors) != dim // 2:
            raise ValueError(
                f"RoPE factors must be {dim // 2}, one per frequency, not {len(scaling.factors)}"
            )
        found = found / np.array(scaling.factors, f32)
    return found.astype(f32)


def table(dim, theta, scaling, positions):
    """Cosines and sines, float32 (positions, dim / 2) each, times the attention factor.

    Parameters
    ----------
    dim : :class:`int`
        Numbers of a head that are rotated.
    theta : :class:`float`
        Base of the frequencies.
    scaling : :class:`RopeScaling`
    positions : :class:`int`
    """
    turned = np.arange(positions, dtype=f32)[:, None] * frequencies(dim, theta, scaling)
    angles = turned.astype(np.float64)
    attention = np.float64(f32(scaling.attention))  # as GGUF files have it
    return tuple((f(angles) * attention).astype(f32) for f in (np.cos, np.sin))
