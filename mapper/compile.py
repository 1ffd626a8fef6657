"""Compile a model for a configuration: quantize, tile, lay out, schedule, and pack an image."""

import math
from collections import deque
from contextlib import contextmanager
from dataclasses import asdict, replace

import numpy as np

from host.errors import UserError
from host.image.image import Image
from rtl.spec import limits
from rtl.spec.config import CONFIGS, GROUP, UNIT_BYTES
from rtl.spec.formats import ACC_BITS, pack, sum_bits
from rtl.spec.isa import WeightFormat

from sw_ref.legal import IllegalProgram
from sw_ref.numerics import WINDOW
from sw_ref.verify import verify

from .layout import Matrix, MemoryMap
from .model import ODD
from .passes import layer_products, lowerable
from .place import gains_of, place as place_values
from .quantize import integer_groups
from .registers import COLUMN_WORDS
from .report import Tally, estimate
from .schedule import schedule


__all__ = ["compile_model", "rope_table"]


def rope_table(model, positions):
    """Cosines, then sines, of each position's angles: float32 (positions, head_dim)."""
    half = np.arange(0, model.head_dim, 2, dtype=np.float32) / np.float32(model.head_dim)
    frequency = (1 / np.float64(model.rope_theta) ** half).astype(np.float32)
    angles = (np.arange(positions, dtype=np.float32)[:, None] * frequency).astype(np.float64)
    return np.concatenate([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def _check(config, model, context):
    def need(ok, what):
        if not ok:
            raise UserError(f"{model.path}: cannot be mapped to configuration {config.name!r}: {what}")

    def at_most(value, most, what):
        need(value <= most, f"{value} {what}, the machine takes {most}")

    at_most(context, limits.POSITIONS, "positions of context")
    at_most(model.vocab, limits.ROWS, "tokens")
    at_most(model.heads, limits.REPETITIONS, "query heads")
    at_most(model.kv_heads, limits.HEADS, "KV heads")
    at_most(len(model.layers), limits.LAYERS, "layers")
    for what, words in (("hidden size", model.hidden), ("feed-forward size", model.ffn),
                        ("query heads' size", model.heads * model.head_dim),
                        ("keys' and values' size", 2 * model.kv_heads * model.head_dim)):
        need(words <= limits.INNER, f"the {what} is {words}, the machine takes {limits.INNER}")
    groups = max(model.hidden, model.ffn, model.heads * model.head_dim) // GROUP
    at_most(groups, limits.GROUPS, "groups of activations")
    need(model.head_dim == config.head_dim,
         f"head_dim is {model.head_dim}, the attention unit is built for {config.head_dim}")
    need(model.heads % model.kv_heads == 0,
         f"{model.heads} query heads do not share {model.kv_heads} KV heads evenly")
    need(groups <= config.act_groups,
         f"{groups * GROUP} activations, the buffer holds {config.act_groups * GROUP}")
    need(1 <= context <= model.context,
         f"context must be from 1 to {model.context}, not {context}")
    need(model.ffn % 64 == 0, f"the feed-forward size must be a multiple of 64, not {model.ffn}")


def _check_memory(config, model, memory):
    """Refuse what DRAM addresses, or the counters of a step, cannot hold."""
    for what, count, most in (
            ("units of DRAM", memory.end, limits.UNITS),
            ("units of a head's KV cache", memory.kv_head_units, limits.CACHE),
            ("units of weights in the layers", memory.layers_units, limits.STREAM),
            ("units of weights in the head", memory.head_units, limits.STREAM),
            ("beats of weights in a step", memory.weight_units * config.unit_beats, limits.EVENTS)):
        if count > most:
            raise UserError(f"{model.path}: {count} {what}, the machine takes {most}")


@contextmanager
def _legal(model):
    """Report a program that breaks a rule, which is the mapper's to see to."""
    try:
        yield
    except IllegalProgram as error:
        raise UserError(f"{model.path}: the program for it is not legal, which is a defect of the "
                        f"compiler; please report it: {error}") from error


def _verify(image, config):
    """Check that the program keeps all rules."""
    verify(config, image.memory, image.memory_units, image.writable, tuple(image.instructions),
           image.context, image.vocab)
    image.trust()
    return image


def _check_formats(config, model, matrices):
    """Refuse a configuration whose hardware lacks a format."""
    for matrix in matrices:
        name = matrix.format.name
        if name not in config.formats:
            able = [c.name for c in CONFIGS.values() if name in c.formats] or ["none"]
            raise UserError(
                f"{model.path}: {matrix.name} has {name} weights, but configuration {config.name!r}, with core "
                f"{config.core!r}, takes {', '.join(config.formats)}; configurations that take {name}: "
                f"{', '.join(able)}")


def _stack(matrix, linears):
    """The rows of a matrix's parts, one below the other."""
    parts = [linears[name] for name, _, _ in matrix.parts]
    rows = [slice(start, end) for _, start, end in matrix.parts]

    def join(field):
        return np.concatenate([getattr(p, field)[r] for p, r in zip(parts, rows)])

    return replace(parts[0], name=matrix.name, codes=join("codes"), d=join("d"),
                   m=None if parts[0].m is None else join("m"))


def _uniform(model, matrix, n, linears):
    """Refuse a layer whose formats are not those that the program was made for."""
    for name, _, _ in matrix.parts:
        if linears[name].format != matrix.format:
            raise UserError(
                f"{model.path}: {linears[name].name} is {linears[name].source}, but all layers' "
                f"{' and '.join(p for p, _, _ in matrix.parts)} must have {matrix.format.name} codes, "
                f"since one program serves every layer. Quantize them alike")


def plan_of(model, graph):
    """Matrices of a layer, the same for all layers, with centre shifts that suit them."""
    plan, sizes = [], {node.name: node.size for node in graph}
    samples = [layer.linears for layer in model.layers[::8]]
    for node in layer_products(graph):
        parts, depth = node.parts, sizes[node.inputs[0]]
        matrix = Matrix(node.matrix, parts, samples[0][parts[0][0]].format, depth // GROUP)
        for n, linears in enumerate(samples):
            _uniform(model, matrix, n, linears)
        if matrix.format in ODD.values():
            shifts = [integer_groups(_stack(matrix, s)).centre_shift for s in samples]
            matrix = replace(matrix, centre=max(set(shifts), key=shifts.count))
        plan.append(matrix)
    return plan


def compile_model(model, config, context, progress=lambda what, done, total: None):
    """Compile `model` (:class:`~mapper.model.Model`) to an :class:`~host.image.image.Image`.

    `context` is the number of positions that the KV cache gets. `progress` is called with a
    name, a count and the total. Raises :exc:`~host.errors.UserError` with the reason when the
    configuration cannot run the model.
    """
    _check(config, model, context)
    graph = lowerable(model.graph)
    plan = plan_of(model, graph)

    def vocabulary(name, linear):
        if linear.format != WeightFormat.S8:
            raise UserError(f"{model.path}: {linear.name} must have 8-bit codes (Q8_0, F16 or F32), "
                            f"not {linear.source}")
        return Matrix(name, ((name, 0, model.vocab),), linear.format, model.hidden // GROUP)

    head = vocabulary("head", model.head)
    embedding = head if model.tied else vocabulary("embedding", model.embedding)

    _check_formats(config, model, [*plan, head])
    for matrix in (*plan, head):
        bits = sum_bits(matrix.format, matrix.groups, matrix.centre, WINDOW)
        if bits > ACC_BITS:
            raise UserError(f"{model.path}: sums of {matrix.name} over {matrix.groups * GROUP} inputs may need "
                            f"{bits} bits, the accumulators have {ACC_BITS}")

    vector = place_values(graph, config, COLUMN_WORDS)
    if vector.words > config.vector_words:
        raise UserError(f"{model.path}: needs {vector.words} words of vector memory, configuration "
                        f"{config.name!r} has {config.vector_words}")
    if vector.column_words > limits.COLUMN:
        raise UserError(f"{model.path}: needs {vector.column_words} words of vector memory a column, the "
                        f"machine takes {limits.COLUMN}")

    # Scores are in units of log2: the softmax's 1 / sqrt(head_dim) and log2(e) are the query's.
    factors = {"q": np.float32(math.log2(math.e) / math.sqrt(model.head_dim))}
    tallies = [Tally(matrix=matrix) for matrix in (*plan, head)]

    def packed(matrix, linear, tally=None):
        q = integer_groups(linear, matrix.centre)
        raw = pack(q.format, q.codes, q.scale, q.centre, q.row_scale * factors.get(matrix.name, np.float32(1)),
                   config.beat_bytes, config.patterns)
        if tally:
            tally.add(config, q, raw)
        return np.frombuffer(raw, np.uint8)

    # How long sparse matrices are shows when they are packed.
    layers, gains, layers_of = deque(), [], vector.sections.layers
    for n, layer in enumerate(model.layers):
        progress("packing layers", n, len(model.layers))
        for matrix in plan:
            _uniform(model, matrix, n, layer.linears)
        layers.append(np.concatenate([packed(matrix, _stack(matrix, layer.linears), tally)
                                      for matrix, tally in zip(plan, tallies)]))
        gains.append(np.concatenate([getattr(layer, node.gain) for node in gains_of(layers_of.body)])
                     .astype("<f4"))
    progress("packing layers", len(model.layers), len(model.layers))
    layer_units = [len(raw) // UNIT_BYTES for raw in layers]

    def assemble(memory):
        with _legal(model):
            return schedule(config, memory, vector, (*plan, head))

    # The program's size does not depend on the addresses in it.
    draft = assemble(MemoryMap(config, model, context, 0, layer_units, head))
    memory = MemoryMap(config, model, context, draft.units, layer_units, head)
    _check_memory(config, model, memory)
    program = assemble(memory)
    if len(program.insns) > config.program_words:
        raise UserError(f"{model.path}: the program has {len(program.insns)} instructions, "
                        f"configuration {config.name!r} holds {config.program_words}")

    data = np.zeros(memory.image_units * UNIT_BYTES, np.uint8)

    def place(unit, values):
        raw = values.view(np.uint8).reshape(-1)
        data[unit * UNIT_BYTES:unit * UNIT_BYTES + len(raw)] = raw
        return unit + len(raw) // UNIT_BYTES

    place(memory.program, program.words())
    at = memory.layers
    while layers:   # memory is touched as they go
        at = place(at, layers.popleft())
    place(memory.gains, np.concatenate(gains))
    place(memory.head, packed(head, model.head, tallies[-1]))
    if not model.tied:
        place(memory.embedding, packed(embedding, model.embedding))
    place(memory.final_gain, model.norm.astype("<f4"))
    place(memory.rope, rope_table(model, context).astype("<f4"))

    image = Image(
        memory=data, memory_units=memory.end, writable=(memory.kv, memory.end),
        program=memory.program, length=len(program.insns), nodes=program.nodes(), digest=config.digest, config=config.name,
        accelerator=asdict(config), context=context, vocab=model.vocab,
        formats=[f for f in config.formats if f in {t.matrix.format.name for t in tallies}],
        patterns=[p for p in config.patterns if any(p in t.blocks for t in tallies)],
        weight_bytes=memory.weight_units * UNIT_BYTES,
        model={"name": model.name, "sha256": model.sha256, "eos": list(model.eos), "bos": model.bos,
               "layers": len(model.layers), "hidden": model.hidden, "kv_heads": model.kv_heads},
        tokenizer={"json": model.tokenizer, "chat_template": model.chat_template},
        report=estimate(config, model, memory, vector, tallies, program))
    with _legal(model):
        return _verify(image, config)
