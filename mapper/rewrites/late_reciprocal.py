"""1/rms behind the product."""

from dataclasses import replace

from sw_ref.graph import Attend, Gate, Linear, Norm, Rope

from ..nodes import Reciprocal, Times, Weighted
from . import rewrite


@rewrite
class LateReciprocal:
    """1 / rms(x) of a norm is one number, and products are linear: it comes after them.

    x times the gain goes to the core at once. The reciprocal is found while the weights stream, and
    multiplied into what reads the products: the rotation's cosines and sines, the values, the gate.

    Only where products without a bias are all that reads the norm, and only such operations read
    the products. A bias would be multiplied too, and logits leave the machine as they are.
    """

    name = "1/rms behind the product"
    order = 1

    def applies(self, body, node):
        """Whether `node` is a norm whose reciprocal may come later."""
        if not isinstance(node, Norm) or body.leaves(node.name):
            return False
        products = body.users(node.name)
        return bool(products) and all(
            isinstance(product, Linear)
            and product.bias is None
            and not body.leaves(product.name)
            and all(self._takes(user, product.name) for user in body.users(product.name))
            for product in products
        )

    def _takes(self, user, value):
        """Whether a node can multiply a factor into a value that it reads."""
        match user:
            case Rope():
                return user.inputs[0] == value
            case Attend():
                return user.inputs[2] == value and value not in user.inputs[:2]
            case Gate():
                return len(user.inputs) == 2
        return False

    def apply(self, body, node):
        (x,) = node.inputs
        late = f"{node.name} / rms"
        changes = {
            node.name: [
                Weighted(name=node.name, inputs=(x,), size=node.size, gain=node.gain),
                Reciprocal(name=late, inputs=(x,), size=1, eps=node.eps),
            ]
        }
        turned = {}
        for product in body.users(node.name):
            for user in body.users(product.name):
                match user:
                    case Rope():
                        angles = user.inputs[1]
                        if angles not in turned:  # once for all that are rotated by them
                            turned[angles] = f"{node.name} / {angles}"
                            changes[node.name].append(
                                Times(
                                    name=turned[angles], inputs=(angles, late), size=user.head_dim
                                )
                            )
                        new = [replace(user, inputs=(user.inputs[0], turned[angles]))]
                    case Attend():
                        values = f"{product.name} / rms"
                        new = [
                            Times(name=values, inputs=(product.name, late), size=product.size),
                            replace(user, inputs=(*user.inputs[:2], values)),
                        ]
                    case Gate():
                        new = [replace(user, inputs=(*user.inputs, late))]
                changes[user.name] = new
        return body.replaced(changes)
