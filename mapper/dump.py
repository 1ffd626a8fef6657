"""What a model is after each step of a compilation, as text: ``headrace compile --dump STEP``."""

from rtl.spec.config import GROUP

from .passes import applied_rewrites


__all__ = ["STEPS", "dump"]


def _graph(compilation):
    yield str(compilation.model.graph)


def _rewrites(compilation):
    yield from map(str, applied_rewrites(compilation.model.graph))
    yield ""
    yield str(compilation.graph)


def _quantize(compilation):
    yield f"{'matrix':12} {'format':8} {'rows':>8} {'K':>6} {'centre':>6}  rows of tensors"
    for m in compilation.matrices:
        parts = ", ".join(f"{name} {start} to {end}" for name, start, end in m.parts)
        yield f"{m.name:12} {m.format.name:8} {m.rows:8} {m.groups * GROUP:6} {m.centre:6}  {parts}"


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
