"""The table of rotary angles that the fields of a file describe."""

from ..hyperparameters import Rotary
from .fields import Fields


__all__ = ["rotary"]


def rotary(f: Fields, head_dim: int, context: int, tensors=None) -> Rotary:
    """The :class:`~mapper.hyperparameters.Rotary` of a file; see
    :func:`~mapper.read.hyperparameters.hyperparameters`."""
    theta = f.number("rope.freq_base", ("rope_theta", "rotary_emb_base"), default=10000.0)
    dim = f.integer("rope.dimension_count", None, high=head_dim, default=head_dim)
    return Rotary(theta=theta, dim=dim)
