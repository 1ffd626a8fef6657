"""Summarize coverage by component, and find regressions."""

__all__ = ["entries", "worse"]


def _ranges(mask):
    """Bits of a mask: "7:4 0"."""
    bits = [n for n in range(mask.bit_length()) if mask >> n & 1]
    low = [n for n in bits if n - 1 not in bits]
    high = [n for n in bits if n + 1 not in bits]
    runs = reversed(list(zip(low, high)))
    return " ".join(f"{last}:{first}" if last > first else f"{last}" for first, last in runs)


def entries(unit, files, reasons):
    """A record's entry for each component: its bench, counts, and what is open.

    Parameters
    ----------
    unit : :class:`str`
        The bench.
    files : dict
        What it reached, from :func:`~.measure.run_all`.
    reasons : list of :class:`~.reasons.Reason`
        They count what they explain.

    An entry's `branches` and `bits` have three numbers: reached, explained, and all.
    """
    result = {}
    for file, reached in files.items():
        open_branches, open_bits, counts = [], {}, {"branches": [0, 0, 0], "bits": [0, 0, 0]}
        for (line, kind), seen in sorted(reached.branches.items()):
            explained = not seen and any([r.explains_branch(file, line, kind) for r in reasons])
            if not seen and not explained:
                open_branches.append(f"{line} {kind}")
            _count(counts["branches"], seen, explained, 1)
        for name, (mask, moved) in sorted(reached.bits.items()):
            explained = 0
            for reason in reasons:
                explained |= reason.explains_bits(file, name, mask & ~moved)
            if missing := mask & ~moved & ~explained:
                open_bits[name] = _ranges(missing)
            _count(counts["bits"], moved.bit_count(), explained.bit_count(), mask.bit_count())
        result[file] = {
            "bench": unit,
            **counts,
            "open": {"branches": open_branches, "bits": open_bits},
        }
    return result


def _count(total, *more):
    total[:] = [a + b for a, b in zip(total, more)]


def worse(before, now):
    """Yield a line for each component of which less is reached, or less accounted for, than was."""
    for file, entry in now.items():
        was = before.get(file)
        for what in ("branches", "bits"):
            reached, explained, everything = entry[what]
            missing = everything - reached - explained
            if missing > (was[what][2] - was[what][0] - was[what][1] if was else 0):
                names = entry["open"][what]
                names = names if what == "branches" else [f"{k} [{v}]" for k, v in names.items()]
                yield (
                    f"{file}: {missing} {what} are neither reached nor explained: "
                    f"{', '.join(names[:8])}{', ...' * (len(names) > 8)}"
                )
            if was and reached * was[what][2] < was[what][0] * everything:
                yield (
                    f"{file}: {reached} of {everything} {what} are reached, and were "
                    f"{was[what][0]} of {was[what][2]}"
                )
