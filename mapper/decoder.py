"""The parts that decoders are made of, and how layers make a graph: what a family's file puts
together."""

from collections.abc import Callable
from itertools import groupby

from sw_ref.graph import (
    Add,
    Angles,
    Attend,
    Embedding,
    Gate,
    Graph,
    Head,
    LayerNorm,
    Linear,
    Node,
    Norm,
    PositionRow,
    Repeat,
    Rope,
    Scale,
)

from .hyperparameters import Hyperparameters


__all__ = ["PATTERN_MOST", "Layer", "decoder"]


PATTERN_MOST = 16  # layers of a pattern that repeats
ANGLES, LOCAL_ANGLES = "angles", "local angles"


def angles_of(p: Hyperparameters, kind: str):
    """The name of the angles by which a kind of layer rotates, None if it does not."""
    if p.rope is None or kind == "nope":
        return None
    local = p.local_rope is not None and p.window and kind in ("", "window")
    return LOCAL_ANGLES if local else ANGLES


class Layer:
    """A layer in the making: each method adds nodes, and returns the name of the value that they
    make. Tensors have the names of the graph, by which a family lists its `linears` and `norms`.

    Parameters
    ----------
    p : :class:`~mapper.hyperparameters.Hyperparameters`
    name : :class:`str`
        Of the layer, and of the value that goes in.
    kind : :class:`str`
        One of the `kinds`; empty where all layers are alike.
    """

    def __init__(self, p: Hyperparameters, name: str, kind: str):
        self.p, self.name, self.kind = p, name, kind
        self.nodes: list[Node] = []
        self.sizes = {name: p.hidden}

    def _add(self, node):
        self.nodes.append(node)
        self.sizes[node.name] = node.size
        return node.name

    def _at(self, name):
        return f"{self.name} / {name}" if self.name else name

    def norm(self, at, x, gain, heads=1):
        """RMS norm, of each of `heads` parts by itself."""
        return self._add(
            Norm(
                name=self._at(at),
                inputs=(x,),
                size=self.sizes[x],
                gain=gain,
                eps=self.p.norm_eps,
                heads=heads,
            )
        )

    def layer_norm(self, at, x, gain):
        """Layer norm, its bias called as the gain is, with ``_bias``."""
        return self._add(
            LayerNorm(
                name=self._at(at),
                inputs=(x,),
                size=self.sizes[x],
                gain=gain,
                bias=f"{gain}_bias",
                eps=self.p.norm_eps,
            )
        )

    def linear(self, at, x, weight, size):
        """The product with a matrix, and the bias that `biased` says it has."""
        bias = f"{weight}_bias" if weight in self.p.biased else None
        return self._add(
            Linear(name=self._at(at), inputs=(x,), size=size, weight=weight, bias=bias)
        )

    def add(self, at, x, y):
        """x + residual_scale * y."""
        return self._add(
            Add(
                name=self._at(at),
                inputs=(x, y),
                size=self.sizes[x],
                factor=self.p.residual_scale,
            )
        )

    def attention(self, x, *, qk_norm="", sub_norm=""):
        """Grouped-query attention, up to the output projection; by the layer's kind rotated, and
        within a window.

        Parameters
        ----------
        qk_norm : :class:`str`
            Norms of queries and keys: of ``heads``, or of ``all`` at once.
        sub_norm : :class:`str`
            Gain of the norm before the output projection, if there is one.
        """
        p, at = self.p, "attention"
        queries, keys = p.heads * p.head_dim, p.kv_heads * p.head_dim
        q = self.linear(f"{at} / q", x, "q", queries)
        k = self.linear(f"{at} / k", x, "k", keys)
        v = self.linear(f"{at} / v", x, "v", keys)
        if qk_norm:
            q, k = (
                self.norm(f"{at} / {n} / norm", y, f"{n}_norm", heads if qk_norm == "heads" else 1)
                for n, y, heads in (("q", q, p.heads), ("k", k, p.kv_heads))
            )
        if angles := angles_of(p, self.kind):
            q, k = (self._rope(f"{at} / {n} / rope", y, angles) for n, y in (("q", q), ("k", k)))
        x = self._add(
            Attend(
                name=self._at(f"{at} / attend"),
                inputs=(q, k, v),
                size=queries,
                heads=p.heads,
                kv_heads=p.kv_heads,
                head_dim=p.head_dim,
                scale=p.scale,
                cap=p.attention_cap,
                window=p.window if self.kind in ("", "window") else 0,
            )
        )
        if sub_norm:
            x = self.norm(f"{at} / sub norm", x, sub_norm)
        return self.linear(f"{at} / o", x, "o", p.hidden)

    def _rope(self, at, x, angles):
        return self._add(
            Rope(
                name=self._at(at),
                inputs=(x, angles),
                size=self.sizes[x],
                head_dim=self.p.head_dim,
            )
        )

    def feed_forward(self, x, *, gated=True, sub_norm=""):
        """The feed-forward network: gate, up and down, or up and down with the activation
        between. `sub_norm` is the gain of the norm before down, if there is one."""
        p, at = self.p, "ffn"
        names = ("gate", "up") if gated else ("up",)
        inputs = [self.linear(f"{at} / {name}", x, name, p.ffn) for name in names]
        x = self._add(
            Gate(
                name=self._at(f"{at} / {p.activation}"),
                inputs=tuple(inputs),
                size=p.ffn,
                function=p.activation,
                alone=not gated,
            )
        )
        if sub_norm:
            x = self.norm(f"{at} / sub norm", x, sub_norm)
        return self.linear(f"{at} / down", x, "down", p.hidden)


def runs(kinds):
    """Pairs of a kind and how many layers of it follow each other."""
    return [(kind, len(list(its))) for kind, its in groupby(kinds)]


def pattern_of(kinds):
    """How layers repeat: the length of the pattern, and how often the whole of it comes."""
    for length in range(1, min(PATTERN_MOST, len(kinds)) + 1):
        if all(kind == kinds[n % length] for n, kind in enumerate(kinds)):
            return length, len(kinds) // length
    return len(kinds), 1


def decoder(
    p: Hyperparameters,
    layer: Callable[[Layer, str], str],
    *,
    norm: Callable[..., str] = Layer.norm,
) -> Graph:
    """The graph of a decoder: embedding, layers, a norm, and the head.

    Layers that are alike are one body. Those that repeat in a pattern are a body for each run of
    one kind, within one that repeats the pattern.

    Parameters
    ----------
    p : :class:`~mapper.hyperparameters.Hyperparameters`
    layer : function of (:class:`Layer`, name of a value)
        Adds a layer's nodes, and returns the name of the last one.
    norm : function
        The method of :class:`Layer` that makes the last norm.
    """
    kinds = p.kinds or ("",) * p.layers
    x = "embedding"
    before: list[Node] = [Embedding(name=x, size=p.hidden, weight="embedding")]
    if p.embedding_scale != 1:
        before.append(
            Scale(name=f"{x} / scale", inputs=(x,), size=p.hidden, factor=p.embedding_scale)
        )
        x = before[-1].name
    if p.positions:
        row = PositionRow(
            name="positions", size=p.hidden, weight="positions", positions=p.positions
        )
        before += [row, Add(name="embedding / add", inputs=(x, row.name), size=p.hidden)]
        x = before[-1].name
    for name, rotary in ((ANGLES, p.rope), (LOCAL_ANGLES, p.local_rope)):
        if rotary is not None and name in {angles_of(p, kind) for kind in kinds}:
            before.append(
                Angles(
                    name=name,
                    size=p.head_dim,
                    dim=rotary.dim,
                    theta=rotary.theta,
                    scaling=rotary.scaling,
                )
            )

    def repeat(name, kind, count, x):
        made = Layer(p, name, kind)
        last = layer(made, name)
        if last != made.nodes[-1].name:
            raise ValueError(
                f"A layer must return the name of its last node, {made.nodes[-1].name!r}, not "
                f"{last!r}"
            )
        return Repeat(name=name, inputs=(x,), size=p.hidden, body=tuple(made.nodes), count=count)

    def chain(x, counted, prefix=""):
        nodes = []
        for kind, count in counted:
            names = [n.name for n in nodes]
            name = " ".join(filter(None, (prefix, kind, "layer")))
            # A pattern may have several runs of a kind.
            while name in names:
                name += "'"
            nodes.append(repeat(name, kind, count, x))
            x = name
        return nodes

    length, times = pattern_of(kinds)
    inner, rest = runs(kinds[:length]), runs(kinds[length * times :])
    if times == 1 or len(inner) == 1:
        layers = chain(x, runs(kinds))
    else:
        body = chain("layers", inner)
        layers = [
            Repeat(name="layers", inputs=(x,), size=p.hidden, body=tuple(body), count=times),
            *chain("layers", rest, "last"),
        ]
    end = Layer(p, "", "")
    end.sizes[layers[-1].name] = p.hidden
    x = norm(end, "norm", layers[-1].name, "norm")
    behind = list(end.nodes)
    if p.logit_scale != 1:
        behind.append(Scale(name="norm / scale", inputs=(x,), size=p.hidden, factor=p.logit_scale))
        x = behind[-1].name
    behind.append(Head(name="head", inputs=(x,), size=p.vocab, weight="head", cap=p.logit_cap))
    return Graph((*before, *layers, *behind))
