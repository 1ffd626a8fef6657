"""Choosing the next token among the best ones that the device found."""

from dataclasses import dataclass

import numpy as np

from ..errors import UserError


__all__ = ["BEST", "Sampling", "Sampler"]


BEST = 64  # ids with logits that a device returns: nothing further down can be chosen


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to choose.

    Parameters
    ----------
    temperature : :class:`float`
        Divides the logits. 0 takes the best token, and what follows does not count.
    top_k : :class:`int`
        How many of the best tokens may be chosen, at most `BEST`.
    top_p : :class:`float`
        Only the best tokens that together have this probability may be chosen, at least one.
    seed : :class:`int` or None
        The same seed chooses the same tokens; None differs each time.
    """

    temperature: float = 0.0
    top_k: int = BEST
    top_p: float = 1.0
    seed: int | None = None

    def __post_init__(self):
        if not 0 <= self.temperature < float("inf"):
            raise UserError(f"temperature must be 0 or more, not {self.temperature}")
        if self.top_k not in range(1, BEST + 1):
            raise UserError(
                f"top-k must be from 1 to {BEST}, the logits that a device returns, "
                f"not {self.top_k}"
            )
        if not 0 < self.top_p <= 1:
            raise UserError(f"top-p must be above 0 and at most 1, not {self.top_p}")
        if self.seed is not None and self.seed < 0:
            raise UserError(f"seed must be 0 or more, not {self.seed}")


class Sampler:
    """Chooses tokens one after another."""

    def __init__(self, sampling=Sampling()):
        self.sampling, self.rng = sampling, np.random.default_rng(sampling.seed)

    def choose(self, ids, logits):
        """Choose one of `ids`, which are sorted by their `logits`, best first."""
        if self.sampling.temperature == 0:
            return int(ids[0])
        logits = np.asarray(logits[: self.sampling.top_k], np.float64)
        with np.errstate(over="ignore", under="ignore"):
            weight = np.exp((logits - logits[0]) / self.sampling.temperature)
        cumulative = np.cumsum(weight)
        # The token that crosses the threshold still belongs to the nucleus.
        kept = 1 + int(
            np.searchsorted(cumulative, self.sampling.top_p * cumulative[-1] * (1 - 1e-12))
        )
        kept = min(kept, len(logits))
        at = np.searchsorted(cumulative[:kept], self.rng.random() * cumulative[kept - 1], "right")
        return int(ids[min(int(at), kept - 1)])
