"""What is wrong with a family's layer is said."""

import pytest

from mapper.decoder import decoder

from .families.test_families import SIZES


def test_the_name_of_the_last_node_is_returned():
    def layer(b, x):
        b.add("ffn / add", x, b.feed_forward(b.norm("ffn / norm", x, "ffn_norm")))
        return x

    with pytest.raises(
        ValueError,
        match="^A layer must return the name of its last node, 'layer / ffn / add', not 'layer'$",
    ):
        decoder(SIZES, layer)
