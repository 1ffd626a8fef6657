"""Test case: a random model, its steps, and its DRAM."""

from dataclasses import dataclass, replace

from rtl.spec.config import KV_BLOCK
from rtl.spec.dram import Dram

from ..fpga.adverse import adverse
from . import shape as shapes
from .shape import Shape


__all__ = ["Case", "Step", "draw", "smaller"]


CALM = 0.1  # how often the memory bus does what the DRAM does, and no more


@dataclass(frozen=True)
class Step:
    """Tokens, the position of the first, and whether their last one's logits are wanted."""

    tokens: tuple
    position: int
    head: bool

    @property
    def crosses(self):
        """Whether it goes on to another block of the KV cache."""
        last = self.position + len(self.tokens) - 1
        return (
            last // KV_BLOCK > self.position // KV_BLOCK
            or 0 < self.position == last // KV_BLOCK * KV_BLOCK
        )


@dataclass(frozen=True)
class Case:
    """What both machines are to run alike."""

    shape: Shape
    steps: tuple
    dram: Dram


def _steps(shape, columns, random):
    """Yield the steps of a prompt and an answer, from any position on."""

    def step(position, count, head):
        tokens = tuple(
            random.randrange(shape.vocab) for _ in range(min(count, shape.context - position))
        )
        return [Step(tokens, position, random.random() < head)] if tokens else []

    block = KV_BLOCK * random.randint(0, shape.context // KV_BLOCK)
    at = random.choice(
        [
            0,
            block - random.randint(0, columns),
            shape.context - random.randint(1, 4),
            random.randrange(shape.context),
        ]
    )
    start = at = min(max(0, at), shape.context - 1)
    # All columns at once, and then what is left.
    chunks = [columns] * random.randint(0, 3) + [random.randint(1, columns)]
    for count in [*chunks, *[1] * random.randint(0, 3)]:
        for made in step(at, count, 0.8 if count == 1 else 0.3):
            yield made
            at += len(made.tokens)
    if random.random() < 0.3:  # another prompt: what lies behind it in the KV cache must not matter
        yield from step(random.randint(0, start), random.randint(1, columns), 1)


def draw(config, random):
    """A random :class:`Case` for a configuration, and its image."""
    shape, image = shapes.draw(config, random)
    steps = tuple(_steps(shape, config.columns, random))
    dram = config.dram if random.random() < CALM else adverse(random)
    return Case(shape, steps, dram), image


def smaller(case):
    """Yield cases that are smaller, or simpler, in one way."""
    count = len(case.steps)
    if count > 1:
        yield replace(case, steps=case.steps[: count // 2])
        yield replace(case, steps=case.steps[count // 2 :])
        yield replace(case, steps=case.steps[:-1])
        yield replace(case, steps=case.steps[1:])
    for shape in shapes.smaller(case.shape):
        yield replace(
            case,
            shape=shape,
            steps=tuple(
                replace(
                    step,
                    tokens=tuple(token % shape.vocab for token in step.tokens),
                    position=max(0, min(step.position, shape.context - len(step.tokens))),
                )
                for step in case.steps
                if len(step.tokens) <= shape.context
            ),
        )
    for n, step in enumerate(case.steps):
        if len(step.tokens) > 1:
            yield replace(
                case,
                steps=(
                    *case.steps[:n],
                    replace(step, tokens=step.tokens[:1]),
                    *case.steps[n + 1 :],
                ),
            )
    if case.dram.stall:
        yield replace(case, dram=replace(case.dram, stall=0))
