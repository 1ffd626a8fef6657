"""Architectures that are known and not mapped yet, so that a refusal says what a model is."""

import re


__all__ = ["EXPERTS", "RECURRENT", "what_is"]


EXPERTS = "a mixture of experts"
RECURRENT = "a model with recurrent layers"
BOTH = "a mixture of experts with recurrent layers"
# Names in `config.json` and in GGUF files, without what separates words.
_KINDS = {
    EXPERTS: """
        arctic dbrx deepseek deepseek2 deepseekv2 deepseekv3 deepseekv32 deepseekv4 dots1 flexolmo
        gptoss grok grok1 jetmoe kimik2 llama4 llama4text longcatflash mimo2 mimov2flash minimaxm1
        minimaxm2 mixtral smallthinker switchtransformers
    """,
    RECURRENT: """
        arwkv7 bamba falconh1 falconmamba lfm2 mamba mamba2 nemotronh plamo2 qwen35 qwen35text
        recurrentgemma rwkv rwkv5 rwkv6 rwkv6qwen2 rwkv7 xlstm zamba zamba2
    """,
    BOTH: """
        granitehybrid granitemoehybrid jamba kimilinear lfm2moe nemotronhmoe qwen35moe qwen35moetext
        qwen3next
    """,
    "a model with embeddings in each layer": "gemma3n gemma3ntext gemma4 gemma4text",
    "a model of pictures and text": """
        cogvlm gemma3 idefics2 idefics3 internvl llava llavanext mllama paligemma phi3v
        phi4multimodal pixtral qwen25vl qwen2vl qwen3vl smolvlm
    """,
    "a diffusion model": "dream llada",
    "an encoder": """
        albert bert deberta distilbert electra eurobert gemmaembedding jinabertv2 modernbert
        neobert nomicbert roberta xlmroberta
    """,
    "an encoder with a decoder": "bart mbart mt5 pegasus t5 t5encoder t5gemma umt5 whisper",
}
_NAMES = {name: what for what, names in _KINDS.items() for name in names.split()}


def what_is(architecture) -> str | None:
    """What a model of an architecture is, ``mixtral`` or ``qwen2_moe``; None if that is not
    known."""
    if not isinstance(architecture, str):
        return None
    name = re.sub(r"[^a-z0-9]", "", architecture.lower())
    return _NAMES.get(name) or (EXPERTS if "moe" in name else None)
