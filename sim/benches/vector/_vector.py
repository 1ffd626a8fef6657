"""Instructions of the vector unit, with their expected results."""

import numpy as np

from rtl.spec.isa import Dest, Func, Quant, Vector
from sim.harness.patterns import EDGES
from sim.oracles.vector import DOT, ELEMENTWISE, QUANTIZE, RECIPROCALS, RMS_NORM, ROTARY, SILU
from sw_ref.numerics import GROUP, MAGIC
from sw_ref.sequences import RECIPROCAL, SILU_GATE, norm_scale


__all__ = ["numbers", "Model", "vector", "quant", "functions", "instructions"]


EPS = 1e-5  # of an RMS norm
STRIDES = 1 << Vector.layout["a_stride"].width
QUANT_STRIDES = 1 << Quant.layout["stride"].width


def numbers(random, count, near_only=False):
    """fp32 patterns: mostly of similar size, so that sums and products keep their meaning.

    With others, more than the memory of a machine ever holds.
    """
    magic = int(np.float32(MAGIC).view(np.uint32))
    near = np.float32([random.gauss(0, 1) for _ in range(count)]).view(np.uint32)
    kinds = [lambda n: near[n]] * 7 + [lambda n: magic + random.randrange(-140, 140)]
    if not near_only:
        kinds += [lambda n: random.choice(EDGES), lambda n: random.getrandbits(32)]
    return np.array([random.choice(kinds)(n) for n in range(count)], np.uint32)


class Model:
    """The machine, as the oracles have it. `words` are patterns."""

    def __init__(self, config):
        self.config = config
        self.words = np.zeros(config.vector_words, np.uint32)

    def index(self, insn, name):
        """Addresses of an operand's or of the result's elements, (outer, inner)."""
        inner = self.config.lanes if name == "d" and insn.func == Func.DOT else insn.inner
        i = np.arange(inner) % (self.config.lanes if getattr(insn, f"{name}_fill", 0) else 1 << 14)
        o = np.arange(insn.outer)[:, None]
        return getattr(insn, name) + o * getattr(insn, f"{name}_stride") + i

    def operand(self, insn, name):
        if getattr(insn, f"{name}_const", 0):
            shape = insn.outer, insn.inner
            return np.full(shape, getattr(insn, f"{name}_value"), np.uint32).view(np.float32)
        return self.words[self.index(insn, name)].view(np.float32)

    def vector(self, insn):
        a, b, c = (self.operand(insn, name) for name in "abc")
        d = (
            np.repeat(DOT.expect(a, b)[:, None], self.config.lanes, 1)
            if insn.func == Func.DOT
            else ELEMENTWISE.expect(insn.func, a, b, c)
        )
        for line, values in zip(self.index(insn, "d"), d.view(np.uint32)):
            self.words[line] = values

    def quant(self, insn):
        """Payloads that go to the destination."""
        lanes = self.config.lanes
        at = insn.a + np.arange(insn.outer)[:, None] * insn.stride + np.arange(insn.inner)
        group = GROUP if insn.dest == Dest.ACT else self.config.head_dim
        q, exponents = QUANTIZE.expect(
            self.words[at].view(np.float32), group, 16 if insn.dest == Dest.QUERY else 8
        )
        per_group = group // lanes
        for n, values in enumerate(q.reshape(-1, lanes)):
            payload = {
                "values": values.tolist(),
                "exponent": int(exponents.reshape(-1)[n // per_group]),
            }
            if insn.dest == Dest.ACT:
                payload |= {
                    "group": insn.act + n // per_group,
                    "column": insn.column,
                    "clear": int(n == 0),
                }
            yield payload | {"last": int(n % per_group == per_group - 1)}

    def allowed(self, insn):
        """No element is read after, or shortly before, the instruction overwrites it."""
        lanes = self.config.lanes
        steps = np.arange(insn.outer * insn.inner // lanes).reshape(insn.outer, -1)
        d = self.index(insn, "d")[:, ::lanes]
        written = {}
        for line, step in zip(d.flat, (steps[:, -1:] if insn.func == Func.DOT else steps).flat):
            written.setdefault(line, step)
        return all(
            written.get(line, step) >= step
            for name in "abc"
            for line, step in zip(self.index(insn, name)[:, ::lanes].flat, steps.flat)
        )


def vector(random, model, func, space, longest):
    """A random instruction within the first `space` words."""
    lanes = model.config.lanes
    while True:
        lines = random.choice(
            [
                1,
                2,
                3,
                64 // lanes - 1,
                64 // lanes,
                64 // lanes + 1,
                random.randrange(1, longest + 1),
            ]
        )
        outer = random.choice([1, 1, 2, 3, 5])
        fields = {
            "func": func,
            "outer": outer,
            "inner": lines * lanes,
            "b_const": random.random() < 0.3,
            "c_const": random.random() < 0.3,
            "b_value": int(numbers(random, 1)[0]),
            "c_value": int(numbers(random, 1)[0]),
        }
        for name in "abcd":
            fields[name] = random.randrange(space // lanes) * lanes
            stride = (
                random.choice(
                    [
                        0,
                        1,
                        lines,
                        lines + 1,
                        random.randrange(20),
                        random.randrange(STRIDES // lanes),
                        STRIDES // lanes - 1,
                    ]
                )
                * lanes
            )
            fields[f"{name}_stride"] = stride
            if name != "d":
                fields[f"{name}_fill"] = random.random() < 0.25
        if func != Func.DOT and random.random() < 0.4:
            operand = random.choice("abc")
            fields |= {
                "d": fields[operand],
                "d_stride": lines * lanes,
                f"{operand}_stride": lines * lanes,
                f"{operand}_fill": 0,
            }
        insn = Vector(
            **{
                name: value if isinstance(value, Func) else int(value)
                for name, value in fields.items()
            }
        )
        if all(model.index(insn, name).max() < space for name in "abcd") and model.allowed(insn):
            return insn


def quant(random, model, space):
    """A random Quant within the first `space` words."""
    config = model.config
    dest = random.choice(list(Dest))
    group = GROUP if dest == Dest.ACT else config.head_dim
    while True:
        outer, groups = random.choice([1, 2, 3, 5]), random.randrange(1, 4)
        insn = Quant(
            dest=dest,
            outer=outer,
            inner=groups * group,
            a=random.randrange(space // config.lanes) * config.lanes,
            stride=random.choice(
                [0, group, 3 * config.lanes, random.randrange(QUANT_STRIDES // group) * group]
            ),
            act=random.randrange(config.act_groups - outer * groups + 1),
            column=random.randrange(16),
        )
        at = insn.a + np.arange(insn.outer)[:, None] * insn.stride + np.arange(insn.inner)
        if at.max() < space:
            return insn


def functions(random, length):
    """Functions of models on vectors: steps, as the mapper emits them; the values that they start
    with; and the results that must come of them, by name."""

    def values(*edges):
        x = random.standard_normal(length) * 10.0 ** random.uniform(-3, 3)
        x[: len(edges)] = edges
        return x.astype(np.float32)

    x, gain = values(), values()
    yield (
        [
            (Func.DOT, "s", "x", "x", None),
            *norm_scale(length, EPS),
            (Func.MADD, "x", "x", "gain", 0.0),
            (Func.MADD, "y", "x", "r", 0.0),
        ],
        {"x": x, "gain": gain},
        {"y": RMS_NORM.expect(x[None], gain, EPS)[0]},
    )
    gate, up = values(0, -0.0, 80, -80, 81, -100, 1e30, -1e30, 1e-38, 1e-45), values()
    s = np.full_like(up, random.uniform(0.1, 2))
    yield SILU_GATE, {"g": gate, "up": up, "s": s}, {"g": SILU.expect(gate, up, s)}
    low, high, angle = values(), values(), random.uniform(-np.pi, np.pi, length)
    cos, sin = (f(angle).astype(np.float32) for f in (np.cos, np.sin))
    yield (
        [
            (Func.NMADD, "u", "high", "sin", 0.0),
            (Func.MADD, "t", "low", "sin", 0.0),
            (Func.MADD, "low", "low", "cos", "u"),
            (Func.MADD, "high", "high", "cos", "t"),
        ],
        {"low": low, "high": high, "cos": cos, "sin": sin},
        dict(zip(("low", "high"), ROTARY.expect(low, high, cos, sin))),
    )
    d = (2.0 ** random.uniform(-126, 124, length)).astype(np.float32)
    yield RECIPROCAL, {"d": d}, {"r": RECIPROCALS.expect(d)}


def instructions(steps, places, length, lanes):
    """Vector instructions of steps. What comes of a DOT is one line, and so is what comes of it."""
    lines = set()
    for func, result, *operands in steps:
        if func == Func.DOT or set(operands) & lines and not set(operands) & set(places) - lines:
            lines.add(result)
        inner = lanes if result in lines and func != Func.DOT else length
        fields = {"func": func, "outer": 1, "inner": inner, "d": places[result]}
        for name, operand in zip("abc", operands):
            if isinstance(operand, str):
                fields |= {name: places[operand], f"{name}_fill": int(operand in lines)}
            elif operand is not None:
                pattern = int(np.float32(operand).view(np.uint32))
                fields |= {f"{name}_const": 1, f"{name}_value": pattern}
        yield Vector(**fields)
