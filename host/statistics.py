"""What tokens took, in figures and in a line."""

__all__ = ["Statistics"]


class Statistics:
    """Figures of generated tokens.

    Parameters
    ----------
    image : :class:`host.image.Image`
    config : :class:`rtl.config.Config`
    tokens : list of :class:`host.generate.Token`
        Of one answer: the first includes the reading of the prompt.

    Attributes
    ----------
    figures : :class:`dict`
        ``utilization``: weight bytes per cycle of decode steps, as a share of what the memory
        bus can carry; None when the device does not count cycles. ``seconds``: host time of all
        tokens. And what else is worth comparing.
    """
    def __init__(self, image, config, tokens):
        decode = [t for t in tokens if t.fed == 1] or tokens
        fed, cycles = sum(t.fed for t in decode), None
        if decode and all(t.cycles for t in decode):
            cycles = sum(t.cycles for t in decode) / fed
        seconds = sum(t.seconds for t in tokens)
        # A prompt that goes in several columns at a time reads the weights once for all of them;
        # then tokens share the bytes, and only decode steps are worth a utilization.
        honest = cycles is not None and all(t.fed == 1 for t in decode)
        beats = sum(t.weight_beats for t in decode) / fed if fed else 0
        beats = beats or image.weight_bytes / config.beat_bytes
        self.figures = {
            "prompt_tokens": tokens[0].fed if tokens else 0,
            "cycles_per_token": cycles,
            "utilization": beats / cycles if honest else None,
            "config": config.name, "clock_mhz": config.clock_mhz,
            "tokens_per_second_at_clock": config.clock_mhz * 1e6 / cycles if cycles else None,
            "seconds": seconds,
            "first_token_seconds": tokens[0].seconds if tokens else None,
            "seconds_per_token": sum(t.seconds for t in decode) / fed if decode else None,
        }

    @property
    def line(self):
        """The figures in a line."""
        f, parts = self.figures, []
        if f["cycles_per_token"]:
            parts.append(f"{f['cycles_per_token']:,.0f} cycles/token")
            if f["utilization"] is not None:
                parts.append(f"{100 * f['utilization']:.1f} % of the memory bandwidth is weights")
            parts.append(f"{f['tokens_per_second_at_clock']:.2f} tokens/s at {f['clock_mhz']:g} MHz "
                         f"({f['config']})")
        parts.append(f"first token after {f['first_token_seconds']:.2f} s, then "
                     f"{f['seconds_per_token']:.2f} s/token on this host")
        return "; ".join(parts)
