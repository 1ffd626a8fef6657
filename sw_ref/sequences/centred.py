"""x without its mean: what layer norm does before :mod:`norm_scale`."""

from .trace import sequence


__all__ = ["centred"]


@sequence
def centred(w, hidden):
    """d = x - s / hidden, s the sum of `hidden` values x, in all words of a line.

    Layer norm is four parts: s = DOT of x and 1, this, v = DOT of d and d, which
    :func:`norm_scale` makes 1 / sqrt(v / hidden + eps) of; and the gain and bias.
    """
    w.d = w.x - w.s * (1.0 / hidden)
