"""Compile a model for a configuration: quantize, tile, lay out, schedule, and pack an image."""

from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cached_property

from host.errors import UserError
from host.image.image import Image
from rtl.spec import limits
from rtl.spec.config import CONFIGS, GROUP, UNIT_BYTES
from rtl.spec.formats import FORMATS
from sw_ref.legal import IllegalProgram
from sw_ref.verify import verify_image

from .as_s8 import as_s8
from .dram_layout import MemoryMap
from .estimate import estimate
from .fallback import held
from .head import HeadReport, head_format
from .pack import Packed
from .passes import lowerable
from .place import place as place_values
from .plan import Matrix, centre_shift, formats_of, plan_of
from .report import report
from .rounding import round_to
from .schedule import schedule
from .sequencer_registers import COLUMN_WORDS
from .unmappable import refused


__all__ = ["Compilation", "compile_model"]


def _check(config, model, context):
    def need(ok, what):
        if not ok:
            raise UserError(
                f"{model.path}: cannot be mapped to configuration {config.name!r}: {what}"
            )

    def at_most(value, most, what):
        need(value <= most, f"{value} {what}, the machine takes {most}")

    at_most(context, limits.POSITIONS, "positions of context")
    at_most(model.vocab, limits.ROWS, "tokens")
    at_most(model.heads, limits.REPETITIONS, "query heads")
    at_most(model.kv_heads, limits.HEADS, "KV heads")
    at_most(len(model.layers), limits.LAYERS, "layers")
    for what, words in (
        ("hidden size", model.hidden),
        ("feed-forward size", model.ffn),
        ("query heads' size", model.heads * model.head_dim),
        ("keys' and values' size", 2 * model.kv_heads * model.head_dim),
    ):
        need(words <= limits.INNER, f"the {what} is {words}, the machine takes {limits.INNER}")
    groups = max(model.hidden, model.ffn, model.heads * model.head_dim) // GROUP
    at_most(groups, limits.GROUPS, "groups of activations")
    need(
        model.head_dim <= config.head_dim,
        f"head_dim is {model.head_dim}, the attention unit is built for {config.head_dim}",
    )
    need(
        model.head_dim // 2 % config.lanes == 0 or model.shape.rope is None,
        f"half of head_dim, {model.head_dim}, must be a multiple of the {config.lanes} lanes",
    )
    need(
        model.heads % model.kv_heads == 0,
        f"{model.heads} query heads do not share {model.kv_heads} KV heads evenly",
    )
    cap = model.shape.attention_cap
    need(
        not cap or cap == config.score_cap,
        f"scores are capped at {cap:g}, the attention unit is built for a score_cap of "
        f"{config.score_cap:g}",
    )
    need(
        groups <= config.act_groups,
        f"{groups * GROUP} activations, the buffer holds {config.act_groups * GROUP}",
    )
    need(1 <= context <= model.context, f"context must be from 1 to {model.context}, not {context}")


def _check_memory(config, model, memory):
    """Refuse what DRAM addresses, or the counters of a step, cannot hold."""
    for what, count, most in (
        ("units of DRAM", memory.end, limits.UNITS),
        (
            "units of a head's KV cache",
            max(cache.head_units for cache in memory.caches.values()),
            limits.CACHE,
        ),
        ("units of weights in the layers", memory.layers_units, limits.STREAM),
        ("units of weights in the head", memory.head_units, limits.STREAM),
        ("beats of weights in a step", memory.weight_units * config.unit_beats, limits.EVENTS),
    ):
        if count > most:
            raise UserError(f"{model.path}: {count} {what}, the machine takes {most}")


@contextmanager
def _legal(model):
    """Report a program that breaks a rule, which is the mapper's to see to."""
    try:
        yield
    except IllegalProgram as error:
        raise UserError(
            f"{model.path}: the program for it is not legal, which is a defect of the "
            f"compiler; please report it: {error}"
        ) from error


def _verify(image, config):
    """Check that the program keeps all rules."""
    verify_image(config, image)
    image.trust()
    return image


def _check_formats(config, model, graph, plan, head):
    """Refuse a configuration whose hardware lacks a format."""
    found: dict[str, set] = {"head": {head.format}}
    for n, kind in enumerate(graph.order):
        formats = formats_of(model.layers, n)
        for matrix in plan[kind]:
            found.setdefault(matrix.name, set()).add(formats[matrix.parts[0][0]])
    for matrix, formats in found.items():
        for name in sorted({fmt.name for fmt in formats} - set(config.formats)):
            able = [c.name for c in CONFIGS.values() if name in c.formats] or ["none"]
            raise UserError(
                f"{model.path}: {matrix} has {name} weights, but configuration {config.name!r}, "
                f"with core {config.core!r}, takes {', '.join(config.formats)}; configurations "
                f"that take {name}: {', '.join(able)}"
            )


class Compilation:
    """What a model becomes on the way to an image, each step when it is asked for.

    Raises :exc:`~host.errors.UserError` with the reason when the configuration cannot run the
    model.

    Parameters
    ----------
    model : :class:`~mapper.model.Model`
    config : :class:`~rtl.spec.config.Config`
    context : :class:`int`
        Positions that the KV cache gets.
    progress : function
        Called with a name, a count and the total.
    head : :class:`str` or None
        One of :data:`~mapper.head.HEADS` that the head, and with it a tied embedding, is rounded
        to. None: it keeps its file's type.
    """

    def __init__(self, model, config, context, progress=lambda what, done, total: None, head=None):
        _check(config, model, context)
        model = model.at(context)
        self.head_format, self.file = head_format(head, config), model
        self.model = held(model, config)
        self.config, self.context, self.progress = config, context, progress

    @cached_property
    def graph(self):
        """The rewritten :class:`~sw_ref.graph.Graph`."""
        with refused(self.model):
            return lowerable(self.model.graph, self.config.head_dim)

    @cached_property
    def kept_embedding(self):
        """The file's embedding, in a format whose rows have addresses."""
        found = self.model.embedding
        able = found.format.name in self.config.formats and FORMATS[found.format].embeds
        if able:
            return found
        return as_s8(found, f"embeddings of configuration {self.config.name!r} are S8")

    @property
    def kept_head(self):
        """The file's head: the embedding, if it is that."""
        return self.kept_embedding if self.model.tied else self.model.head

    @cached_property
    def head(self):
        """The head, rounded if that was asked for."""
        if self.head_format is None:
            return self.kept_head
        return round_to(self.file.head, self.head_format)

    @property
    def embedding(self):
        """The embedding: the head, if it is that."""
        return self.head if self.model.tied else self.kept_embedding

    @cached_property
    def layer_matrices(self):
        """The :class:`~mapper.plan.Matrix` of a layer of each kind, by its name, in the order of
        the stream."""
        plan = plan_of(self.model.layers, self.graph)
        _check_formats(self.config, self.model, self.graph, plan, self.head)
        return plan

    @cached_property
    def head_matrix(self):
        """The :class:`~mapper.plan.Matrix` of the head."""
        parts = (("head", 0, self.model.vocab),)
        return Matrix("head", "head", parts, self.model.hidden // GROUP)

    @property
    def all_matrices(self):
        """Each :class:`~mapper.plan.Matrix`, the head's last."""
        return [*(m for its in self.layer_matrices.values() for m in its), self.head_matrix]

    @property
    def matrices(self):
        """Those of each kind of layer and product, by their names."""
        found = {("", self.graph.nodes[-1].name): [self.head_matrix]}
        for kind, its in self.layer_matrices.items():
            for matrix in its:
                found.setdefault((kind, matrix.product), []).append(matrix)
        return found

    @cached_property
    def placement(self):
        """Where values would lie in a vector memory of any size, a
        :class:`~mapper.place.Placement`."""
        with refused(self.model):
            return place_values(self.graph, self.config, COLUMN_WORDS)

    @property
    def values(self):
        """The placement, if the vector memory has room for it."""
        needed, config = self.placement.words, self.config
        if needed > config.vector_words:
            raise UserError(
                f"{self.model.path}: needs {needed} words of vector memory, configuration "
                f"{config.name!r} has {config.vector_words}"
            )
        return self.placement

    @cached_property
    def packed(self):
        """The weights, :class:`~mapper.pack.Packed`."""
        return Packed(self)

    @cached_property
    def memory(self):
        """Where all lies in DRAM, a :class:`~mapper.dram_layout.MemoryMap`."""
        memory = self._memory(self.draft.units, self.packed.layer_units)
        _check_memory(self.config, self.model, memory)
        return memory

    def _memory(self, program_units, layer_units):
        return MemoryMap(
            self.config,
            self.model,
            self.context,
            program_units,
            layer_units,
            self.head.format,
            (self.embedding.format, centre_shift(self.embedding)),
            self.graph,
        )

    @property
    def draft(self):
        """The program before anything is packed: its size and its tokens depend on no address in
        DRAM."""
        return self._draft[0]

    @cached_property
    def _draft(self):
        return self._schedule(self._memory(0, [1] * len(self.model.layers)), None)

    def _schedule(self, memory, tokens):
        with _legal(self.model):
            return schedule(self.config, memory, self.values, self.matrices, tokens)

    @cached_property
    def program(self):
        """The program, an :class:`~mapper.assembler.Assembler`."""
        program, _ = self._schedule(self.memory, self._draft[1])
        if len(program.insns) > self.config.program_words:
            raise UserError(
                f"{self.model.path}: the program has {len(program.insns)} instructions, "
                f"configuration {self.config.name!r} holds {self.config.program_words}"
            )
        return program

    def report(self):
        """What :func:`~mapper.report.report` says, and what rounding the head again costs."""
        found = report(self.config, self.model, self.memory, self.values, self.packed, self.program)
        if self.head_format is not None:
            found["head"] = asdict(HeadReport.of(self.head, self.kept_head, self.config))
        return found

    def image(self):
        """The :class:`~host.image.image.Image`."""
        model, config, memory, program = self.model, self.config, self.memory, self.program
        data, tallies = self.packed.data(memory, program), self.packed.tallies
        image = Image(
            memory=data,
            memory_units=memory.end,
            writable=(memory.kv, memory.end),
            program=memory.program,
            length=len(program.insns),
            nodes=program.nodes(),
            digest=config.digest,
            config=config.name,
            accelerator=asdict(config),
            context=self.context,
            vocab=model.vocab,
            formats=[f for f in config.formats if f in {t.format.name for t in tallies}],
            patterns=[p for p in config.patterns if any(p in t.blocks for t in tallies)],
            weight_bytes=memory.weight_units * UNIT_BYTES,
            model={
                "name": model.name,
                "sha256": model.sha256,
                "eos": list(model.eos),
                "bos": model.bos,
                "layers": len(model.layers),
                "hidden": model.hidden,
                "kv_heads": model.kv_heads,
                "kv_blocks": memory.kv_blocks,
                "logit_cap": model.shape.logit_cap,
            },
            tokenizer={"json": model.tokenizer, "chat_template": model.chat_template},
            report=self.report(),
        )
        with _legal(model):
            cycles = estimate(image, config).cycles
            image = replace(image, report=image.report | {"estimated_cycles_per_token": cycles})
            return _verify(image, config)


def compile_model(model, config, context, progress=lambda what, done, total: None, head=None):
    """Compile a model to an :class:`~host.image.image.Image`; :class:`Compilation` has the
    parameters."""
    return Compilation(model, config, context, progress, head).image()
