"""What random models have covered: formats, columns, passes of attention, and ends of all kinds."""

from collections import Counter

from rtl.spec.config import GROUP, KV_BLOCK
from rtl.spec.csr import BEST

from .shape import SHARE_MOST


__all__ = ["Coverage"]


SHARES = range(1, SHARE_MOST + 1)
# Each is (name, what a step of a case has if it is covered).
ENDS = {
    "tied": lambda config, shape, step: shape.tied,
    "untied": lambda config, shape, step: not shape.tied,
    "mixed formats": lambda config, shape, step: len({fmt for _, fmt in shape.formats}) > 1,
    "formats of single layers": lambda config, shape, step: any("." in n for n, _ in shape.formats),
    "extreme rows": lambda config, shape, step: shape.extremes,
    "several layers": lambda config, shape, step: shape.layers > 1,
    "several KV heads": lambda config, shape, step: shape.kv_heads > 1,
    "odd hidden": lambda config, shape, step: shape.hidden // GROUP % 2,
    "odd vocabulary": lambda config, shape, step: shape.vocab % config.block_rows,
    "small vocabulary": lambda config, shape, step: shape.vocab < BEST,
    "block crossed": lambda config, shape, step: step.crosses,
    "last position": lambda config, shape, step: step.position + len(step.tokens) == shape.context,
    "several blocks": lambda config, shape, step: step.position >= 2 * KV_BLOCK,
    "no head": lambda config, shape, step: not step.head,
}


class Coverage:
    """Counts bins: (core, format), (columns in use, query heads of a KV head, passes over it), and
    ends.

    Parameters
    ----------
    configs : list of :class:`~rtl.spec.config.Config`
        Those that models run on.
    """

    def __init__(self, configs):
        self.configs, self.seen = configs, Counter()

    @property
    def reachable(self):
        """All bins that the configurations can reach."""
        bins = {(config.core, fmt) for config in self.configs for fmt in config.formats}
        bins |= {
            self._heads(config, columns, share)
            for config in self.configs
            for columns in range(1, config.columns + 1)
            for share in SHARES
        }
        return bins | {(config.name, end) for config in self.configs for end in ENDS}

    @staticmethod
    def _heads(config, columns, share):
        return f"{columns} columns", f"{share} query heads in {-(-share // config.queries)} passes"

    @property
    def missing(self):
        """Bins that were not reached."""
        return sorted(self.reachable - set(self.seen))

    @property
    def share(self):
        """Share of the reachable bins that were reached."""
        return 1 - len(self.missing) / len(self.reachable)

    def ran(self, config, case):
        """Count a :class:`~.case.Case`."""
        shape = case.shape
        self.seen.update({(config.core, fmt) for _, fmt in shape.formats})
        for step in case.steps:
            self.seen[self._heads(config, len(step.tokens), shape.share)] += 1
            self.seen.update(
                (config.name, name) for name, has in ENDS.items() if has(config, shape, step)
            )
