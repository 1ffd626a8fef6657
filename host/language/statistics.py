"""Statistics of a generation: cycles, utilization and time per token."""

__all__ = ["Statistics"]


class Statistics:
    """Figures of generated tokens.

    Parameters
    ----------
    image : :class:`host.image.image.Image`
    config : :class:`rtl.spec.config.Config`
    tokens : list of :class:`host.language.generate.Token`
        Of one answer: the first includes the reading of the prompt.

    Attributes
    ----------
    figures : :class:`dict`
        ``cycles_per_token``, ``seconds_per_token`` and what follows from them are of decode steps,
        those that were fed one token; None when there was none, or the device does not count.
        ``utilization`` is the weight bytes per second that were read at the configured clock, as a
        share of the DRAM's peak. ``seconds`` is host time of all tokens.
    """

    def __init__(self, image, config, tokens):
        # A prompt that goes in several columns at a time reads the weights once for all of them.
        decode = [t for t in tokens if t.fed == 1]
        cycles = utilization = None
        if decode and all(t.cycles for t in decode):
            cycles = sum(t.cycles for t in decode) / len(decode)
            read = sum(t.weight_beats for t in decode) / len(decode) * config.beat_bytes
            clock = config.clock_mhz * 1e6
            utilization = (read or image.weight_bytes) / cycles * clock / config.dram_peak
        self.figures = {
            "prompt_tokens": tokens[0].fed if tokens else 0,
            "cycles_per_token": cycles,
            "utilization": utilization,
            "config": config.name,
            "clock_mhz": config.clock_mhz,
            "tokens_per_second_at_clock": config.clock_mhz * 1e6 / cycles if cycles else None,
            "seconds": sum(t.seconds for t in tokens),
            "first_token_seconds": tokens[0].seconds if tokens else None,
            "seconds_per_token": sum(t.seconds for t in decode) / len(decode) if decode else None,
        }

    @property
    def line(self):
        """The figures in a line."""
        f, parts = self.figures, []
        if f["cycles_per_token"]:
            parts += [
                f"{f['cycles_per_token']:,.0f} cycles/token",
                f"{100 * f['utilization']:.1f} % of the DRAM's peak is weights",
                f"{f['tokens_per_second_at_clock']:.2f} tokens/s at {f['clock_mhz']:g} MHz "
                f"({f['config']})",
            ]
        host = []
        if f["first_token_seconds"] is not None:
            host.append(f"first token after {f['first_token_seconds']:.2f} s")
        if f["seconds_per_token"] is not None:
            host.append(f"then {f['seconds_per_token']:.2f} s/token")
        parts.append(", ".join(host) + " on this host")
        return "; ".join(parts)
