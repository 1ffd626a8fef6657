"""Llama (arXiv:2302.13971): RMS norms, rotary embedding, grouped queries, a SiLU gate, no
biases."""

from sw_ref.graph import (
    Add,
    Angles,
    Attend,
    Embedding,
    Gate,
    Graph,
    Head,
    Linear,
    Norm,
    Repeat,
    Rope,
)

from . import Hyperparameters, Names, family


LINEARS = {
    "q": Names("attn_q", "self_attn.q_proj"),
    "k": Names("attn_k", "self_attn.k_proj"),
    "v": Names("attn_v", "self_attn.v_proj"),
    "o": Names("attn_output", "self_attn.o_proj"),
    "gate": Names("ffn_gate", "mlp.gate_proj"),
    "up": Names("ffn_up", "mlp.up_proj"),
    "down": Names("ffn_down", "mlp.down_proj"),
}
NORMS = {
    "attn_norm": Names("attn_norm", "input_layernorm"),
    "ffn_norm": Names("ffn_norm", "post_attention_layernorm"),
}
FUSED = {"self_attn.qkv_proj": ("q", "k", "v"), "mlp.gate_up_proj": ("gate", "up")}


@family(gguf="llama", hf="llama", linears=LINEARS, norms=NORMS, interleaved=("q", "k"), fused=FUSED)
def llama(p: Hyperparameters) -> Graph:
    """The graph of a Llama."""
    heads = {"heads": p.heads, "kv_heads": p.kv_heads, "head_dim": p.head_dim}
    queries, keys = p.heads * p.head_dim, p.kv_heads * p.head_dim

    def norm(name, x, gain):
        return Norm(name=name, inputs=(x,), size=p.hidden, gain=gain, eps=p.rms_eps)

    def linear(name, x, weight, size):
        return Linear(name=name, inputs=(x,), size=size, weight=weight)

    def rope(name, x, size):
        return Rope(name=name, inputs=(x, "angles"), size=size, head_dim=p.head_dim)

    def attention(at, x):
        return (
            norm(f"{at} / norm", x, "attn_norm"),
            linear(f"{at} / q", f"{at} / norm", "q", queries),
            linear(f"{at} / k", f"{at} / norm", "k", keys),
            linear(f"{at} / v", f"{at} / norm", "v", keys),
            rope(f"{at} / q / rope", f"{at} / q", queries),
            rope(f"{at} / k / rope", f"{at} / k", keys),
            Attend(
                name=f"{at} / attend",
                size=queries,
                **heads,
                inputs=(f"{at} / q / rope", f"{at} / k / rope", f"{at} / v"),
            ),
            linear(f"{at} / o", f"{at} / attend", "o", p.hidden),
            Add(name=f"{at} / add", inputs=(x, f"{at} / o"), size=p.hidden),
        )

    def feed_forward(at, x):
        return (
            norm(f"{at} / norm", x, "ffn_norm"),
            linear(f"{at} / gate", f"{at} / norm", "gate", p.ffn),
            linear(f"{at} / up", f"{at} / norm", "up", p.ffn),
            Gate(
                name=f"{at} / silu",
                inputs=(f"{at} / gate", f"{at} / up"),
                size=p.ffn,
                function="silu",
            ),
            linear(f"{at} / down", f"{at} / silu", "down", p.hidden),
            Add(name=f"{at} / add", inputs=(x, f"{at} / down"), size=p.hidden),
        )

    body = (
        *attention("layer / attention", "layer"),
        *feed_forward("layer / ffn", "layer / attention / add"),
    )
    return Graph(
        (
            Embedding(name="embedding", size=p.hidden, weight="embedding"),
            Angles(name="angles", size=p.head_dim, theta=p.rope_theta),
            Repeat(name="layer", inputs=("embedding",), size=p.hidden, body=body, count=p.layers),
            norm("norm", "layer", "norm"),
            Head(name="head", inputs=("norm",), size=p.vocab, weight="head"),
        )
    )
