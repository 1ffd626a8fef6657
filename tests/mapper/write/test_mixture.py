"""Which type each matrix gets."""

import pytest

from mapper.write.mixture import FLOATS, fitting, head_of, more_bits, wanted


V, DOWN, UP = (f"blk.{{}}.{name}.weight" for name in ("attn_v", "ffn_down", "ffn_up"))


@pytest.mark.parametrize(
    "layers, more",
    [
        (2, [1]),
        (8, [0, 3, 6, 7]),
        (30, [0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 26, 27, 28, 29]),
        (32, [*range(4), 6, 9, 12, 15, 18, 21, 24, 27, *range(28, 32)]),
    ],
)
def test_more_bits(layers, more):
    """Of Llama-7B's 32 layers, 16 have Q6_K, as llama-quantize writes Q4_K_M."""
    assert [n for n in range(layers) if more_bits(n, layers)] == more
    for n in range(layers):
        its = "Q6_K" if n in more else "Q4_K"
        assert wanted(V.format(n), "mixed", None, layers, True) == its
        assert wanted(DOWN.format(n), "mixed", None, layers, True) == its
        assert wanted(UP.format(n), "mixed", None, layers, True) == "Q4_K"
        assert wanted(DOWN.format(n), "Q5_K", "F16", layers, True) == "Q5_K"


def test_embedding_and_head():
    embedding, head = "token_embd.weight", "output.weight"
    assert wanted(embedding, "mixed", None, 2, True) == "Q6_K"
    assert wanted(embedding, "mixed", None, 2, False) == "Q4_K"
    assert wanted(head, "mixed", None, 2, False) == "Q6_K"
    assert wanted(embedding, "Q4_0", None, 2, False) == "Q6_K"
    assert {wanted(n, "mixed", "Q8_0", 2, False) for n in (embedding, head)} == {"Q8_0"}
    assert [head_of(kind) for kind in ("Q4_0", "IQ4_XS", "Q8_0", "MXFP4")] == [
        *("Q6_K", "Q6_K", "Q8_0", "Q8_0")
    ]
    assert [head_of(kind) for kind in FLOATS] == [*FLOATS]


@pytest.mark.parametrize(
    "kind, instead",
    [
        *(("Q2_K", "Q4_0"), ("Q3_K", "Q4_0"), ("Q4_K", "Q5_0"), ("Q5_K", "Q5_1")),
        *(("Q6_K", "Q8_0"), ("IQ4_XS", "IQ4_NL"), ("TQ1_0", "Q8_0"), ("TQ2_0", "Q8_0")),
    ],
)
def test_rows_that_blocks_do_not_fit(kind, instead):
    assert [fitting(kind, depth) for depth in (512, 576, 40)] == [kind, instead, "F16"]


def test_blocks_of_64():
    assert [fitting("NVFP4", depth) for depth in (576, 96)] == ["NVFP4", "Q8_0"]
