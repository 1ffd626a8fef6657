"""What a model is after each step of a compilation, as text: ``headrace compile --dump STEP``."""

from rtl.spec.config import GROUP
from rtl.spec.formats import FORMATS

from .passes import applied_rewrites
from .plan import centre_shift, stack


__all__ = ["STEPS", "dump"]


def _graph(compilation):
    yield str(compilation.model.graph)


def _rewrites(compilation):
    yield from map(str, applied_rewrites(compilation.model.graph, compilation.config.head_dim))
    yield ""
    yield str(compilation.graph)


def _quantize(compilation):
    yield "matrices of a layer of each kind, and the head"
    yield f"{'matrix':12} {'rows':>8} {'K':>6}  rows of tensors"
    plans = compilation.layer_matrices
    for kind, plan in (*plans.items(), ("head", [compilation.head_matrix])):
        yield f"{kind}:"
        for m in plan:
            parts = ", ".join(f"{name} {start} to {end}" for name, start, end in m.parts)
            yield f"{m.name:12} {m.rows:8} {m.groups * GROUP:6}  {parts}"
    yield ""
    yield "formats, and shifts of centres, in each layer"
    order = compilation.graph.order
    for n, (kind, layer) in enumerate(zip(order, compilation.model.layers)):
        if n == 0 or kind != order[n - 1]:
            yield f"{kind:12} " + " ".join(f"{m.name:12}" for m in plans[kind])
        yield f"{n:12} " + " ".join(f"{_numbers(stack(m, layer.linears)):12}" for m in plans[kind])
    yield f"{'head':12} {compilation.head.format.name}"


def _numbers(linear):
    """The format of a matrix, and its shift of centres where there is one."""
    centred = FORMATS[linear.format].centred
    return linear.format.name + (f" << {centre_shift(linear)}" if centred else "")


def _place(compilation):
    yield "DRAM, in units of 64 bytes"
    yield str(compilation.memory)
    yield ""
    yield (
        f"vector memory, words; column n {compilation.values.column_words} n words on; times in "
        "half nodes"
    )
    yield str(compilation.values)


def _schedule(compilation):
    yield str(compilation.program)


STEPS = {
    "graph": _graph,
    "rewrites": _rewrites,
    "quantize": _quantize,
    "place": _place,
    "schedule": _schedule,
}


def dump(compilation, step):
    """Lines of a step's value, `step` one of :data:`STEPS`, of a
    :class:`~mapper.compile.Compilation`."""
    return "\n".join(STEPS[step](compilation))
