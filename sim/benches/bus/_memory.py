"""A model of memory that answers with errors."""

from cocotbext.axi import AxiResp


__all__ = ["answering"]


def answering(ram):
    """A function that sets what an :class:`AxiRam` says to reads and writes from then on."""
    now = AxiResp.OKAY

    def change(channel, name):
        send = channel.send

        async def changed(answer):
            setattr(answer, name, now)
            await send(answer)

        channel.send = changed

    def answer(response):
        nonlocal now
        now = response

    change(ram.read_if.r_channel, "rresp")
    change(ram.write_if.b_channel, "bresp")
    return answer
