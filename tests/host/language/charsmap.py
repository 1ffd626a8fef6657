"""SentencePiece's table of replacements (`precompiled_charsmap`): a trie as a double array of
Darts-clone, and the texts that it points at."""

import struct


__all__ = ["table"]


BLOCK = 256  # units; each node of the trie has its children in a block of its own
LEAF, VALUE = 1 << 8, 1 << 31


def table(replacements):
    """The table's bytes, of characters and what they become."""
    nodes, texts, values = [{}], b"", {}
    for char, text in replacements.items():
        node = 0
        for byte in char.encode():
            if byte not in nodes[node]:
                nodes[node][byte] = len(nodes)
                nodes.append({})
            node = nodes[node][byte]
        values[node] = len(texts)
        texts += text.encode() + b"\0"
    units = [0] * (BLOCK * (len(nodes) + 1))
    # A node's unit says where its block is, relative to itself by exclusive or.
    places = {0: 0}
    for node, children in enumerate(nodes):
        for byte, child in children.items():
            places[child] = BLOCK * (node + 1) + byte
    for node, at in places.items():
        label = at % BLOCK if node else 0
        units[at] = (at ^ BLOCK * (node + 1)) << 10 | label
        if node in values:
            units[at] |= LEAF
            units[BLOCK * (node + 1)] = VALUE | values[node]
    data = struct.pack(f"<{len(units)}I", *units)
    return struct.pack("<I", len(data)) + data + texts
