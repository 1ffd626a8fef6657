"""Which node of a model's graph is the first that a device computes otherwise."""

import numpy as np

from host.progress import progress


__all__ = ["can_look", "first_node"]


def can_look(devices):
    """Whether all devices show their vector memories."""
    return all(hasattr(device, "vector") for device in devices)


def _run(device, image, ids, columns):
    """Feed a prompt to a program that has no head."""
    device.load(image)
    for at in range(0, len(ids), columns):
        device.step(ids[at : at + columns], at, False)


def _difference(image, config, devices, ids):
    """The node whose instructions wrote the first of the words that differ; None where none
    does."""
    from sw_ref.accesses import touched

    model, device = devices
    writer, order = np.full(config.vector_words, -1), []

    def trace(pc, insn):
        for words in touched(insn, config)[1]:
            writer[words] = len(order)
        order.append(pc)

    model.trace = trace
    try:
        _run(model, image, ids, config.columns)
    finally:
        model.trace = None
    _run(device, image, ids, config.columns)
    right, came = (np.asarray(d.vector(), np.float32).view(np.uint32) for d in devices)
    wrong = writer[(right != came) & (writer >= 0)]
    return image.node(order[wrong.min()]) if len(wrong) else None


def first_node(image, config, devices, ids, layers):
    """Name of the first node of layer number `layers`, from 1, whose value differs between devices.

    The layer is cut behind one product or loop over the columns after the other, on the functional
    model, the first of `devices`, and on the other. Values in the vector memory are compared; None
    where none of them differs.
    """
    from mapper.truncate import cuts, first_part

    ends = cuts(image)
    low, high, found = 0, len(ends) - 1, None
    with progress("looking for the node") as report:
        while low <= high:
            middle = (low + high) // 2
            report(len(ends) - (high - low), len(ends))
            part = first_part(image, config, layers, ends[middle])
            name = _difference(part, config, devices, ids)
            if name is not None:
                found, high = name, middle - 1
            else:
                low = middle + 1
    return found
