"""1/rms behind the product."""

from dataclasses import replace

from sw_ref.graph import Add, Gate, Linear, Norm, Rope

from ..nodes import Biased, Reciprocal, Times, Weighted
from . import rewrite


@rewrite
class LateReciprocal:
    """1 / rms(x) of a norm is one number, and products are linear: it comes after them.

    x times the gain goes to the core at once. The reciprocal is found while the weights stream. A
    rotation takes it in its cosines and sines, a gate, a bias and a sum as a factor; for what else
    reads a product, the product is multiplied with it.

    Only where products are all that reads the norm, and not the head: logits leave the machine as
    they are.
    """

    name = "1/rms behind the product"
    order = 1

    def applies(self, body, node):
        """Whether `node` is a norm whose reciprocal may come later."""
        if not isinstance(node, Norm) or node.heads > 1 or body.leaves(node.name):
            return False
        products = body.users(node.name)
        return bool(products) and all(
            isinstance(product, Linear) and not body.leaves(product.name) for product in products
        )

    def apply(self, body, node):
        (x,) = node.inputs
        late = f"{node.name} / rms"
        changes = {
            node.name: [
                Weighted(name=node.name, inputs=(x,), size=node.size, gain=node.gain),
                Reciprocal(name=late, inputs=(x,), size=1, eps=node.eps),
            ]
        }
        products = {product.name: product for product in body.users(node.name)}
        turned, made = {}, set()
        for user in [each for each in body.nodes if products.keys() & set(each.inputs)]:
            new = []
            match user:
                case Rope(inputs=(x, angles)) if angles not in products:
                    if angles not in turned:  # once for all that are rotated by them
                        turned[angles] = f"{node.name} / {angles}"
                        changes[node.name].append(
                            Times(name=turned[angles], inputs=(angles, late), size=user.head_dim)
                        )
                    inputs = x, turned[angles]
                case Gate(inputs=gated) if products.keys() >= {*gated}:
                    inputs = *gated, late
                case Biased(inputs=(x,)):
                    inputs = x, late
                case Add(inputs=(x, y), factor=1.0) if y in products and x not in products:
                    inputs = x, y, late
                case _:
                    times = [name for name in user.inputs if name in products]
                    inputs = tuple(f"{x} / rms" if x in times else x for x in user.inputs)
                    new = [
                        Times(name=f"{x} / rms", inputs=(x, late), size=products[x].size)
                        for x in dict.fromkeys(times)
                        if x not in made
                    ]
                    made.update(times)
            changes[user.name] = [*new, replace(user, inputs=inputs)]
        return body.replaced(changes)
