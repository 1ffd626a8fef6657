"""Biases behind products."""

from dataclasses import replace

from sw_ref.graph import Linear

from ..nodes import Biased
from . import rewrite


@rewrite
class BiasApart:
    """A bias is added behind the product, by the vector unit."""

    name = "bias behind the product"
    order = 0

    def applies(self, body, node):
        """Whether `node` is a product with a bias."""
        return isinstance(node, Linear) and node.bias is not None

    def apply(self, body, node):
        product = f"{node.name} / product"
        return body.replaced(
            {
                node.name: [
                    replace(node, name=product, bias=None),
                    Biased(name=node.name, inputs=(product,), size=node.size, bias=node.bias),
                ]
            }
        )
