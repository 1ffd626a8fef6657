"""Which node costs what: a model in float32, of which one node at a time is the machine's."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from host.errors import UserError

from .machines import Machine


if TYPE_CHECKING:
    from mapper.model import Model as Source


__all__ = ["ALL", "POSITIONS", "node_errors"]


ALL = "all of them"
POSITIONS = 64  # of a window: attention in PyTorch takes its time


def _integers(source, machine, context, head):
    """What the mapper makes of a matrix: integers, and their rows' scales."""
    from mapper.compile import Compilation
    from mapper.plan import centre_shift
    from mapper.quantize import integer_groups
    from rtl.spec.formats import integers

    compilation = Compilation(source, machine, context, head=head)

    def of(name, linear):
        if name in ("embedding", "head"):  # which may be rounded
            linear = getattr(compilation, name)
        q = integer_groups(linear, centre_shift(linear))
        return integers(q.format, q.codes, q.scale, q.centre, q.centre_shift), q.row_scale

    return of


def node_errors(
    source: "Source",
    machine: Machine,
    context: int,
    ids: list[int],
    head: str | None = None,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> list[dict]:
    """Figures of each node of a model's graph, the worst first, then of :data:`ALL`.

    Only the node computes with the machine's arithmetic, in all layers; all others are float32.
    Each has a ``node``, its name, and over the positions of `ids` the mean ``kl``, of the
    distribution of tokens from float32's, in nats, and the ``rms`` of the logits' error, relative
    to that of float32's logits.

    Raises :exc:`UserError` without PyTorch.
    """
    try:
        from sw_ref.pytorch.interpreter import Float32, MachineArithmetic
        from sw_ref.pytorch.mixed import Mixed, rounded_nodes
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise UserError("--per-node needs PyTorch: pip install torch") from None
    from sw_ref.evaluation import log_probabilities
    from sw_ref.float32 import capped

    names = rounded_nodes(source.graph)
    integers = _integers(source, machine, context, head)
    whole, exact = MachineArithmetic(source, integers), Float32(source)(ids).numpy()
    below = log_probabilities(exact)
    rows = []
    for name in (*names, ALL):
        progress(len(rows), len(names) + 1, name)
        mixed = Mixed(source, integers, {name}) if name != ALL else whole
        logits = mixed(ids).numpy()
        if name == ALL:
            logits = capped(logits, source.shape.logit_cap)  # which hosts do
        kl = (np.exp(below) * (below - log_probabilities(logits))).sum(-1).mean()
        rms = np.sqrt(np.square(logits - exact).mean() / np.square(exact).mean())
        rows.append({"node": name, "kl": float(kl), "rms": float(rms)})
    *each, together = rows
    return [*sorted(each, key=lambda row: -row["kl"]), together]
