"""Names of the upstream providers behind channels.type; the two gateways number them apart."""

from newapi.schema import Flavour

_SHARED = {
    1: "OpenAI", 3: "Azure", 6: "OpenAIMax", 7: "OhMyGPT", 8: "Custom", 9: "AILS",
    10: "AIProxy", 11: "PaLM", 12: "API2GPT", 13: "AIGC2D", 14: "Anthropic", 15: "Baidu",
    16: "Zhipu", 17: "Ali", 18: "Xunfei", 19: "360", 20: "OpenRouter", 21: "AIProxyLibrary",
    22: "FastGPT", 23: "Tencent", 24: "Gemini", 25: "Moonshot", 31: "LingYiWanWu",
}  # fmt: skip

# New API constant/channel.go, v1.0.0-rc.24 + 36 commits.
_NEW_API = _SHARED | {
    2: "Midjourney", 4: "Ollama", 5: "MidjourneyPlus", 26: "ZhipuV4", 27: "Perplexity",
    33: "AWS", 34: "Cohere", 35: "MiniMax", 36: "SunoAPI", 37: "Dify", 38: "Jina",
    39: "Cloudflare", 40: "SiliconFlow", 41: "VertexAI", 42: "Mistral", 43: "DeepSeek",
    44: "MokaAI", 45: "VolcEngine", 46: "BaiduV2", 47: "Xinference", 48: "xAI", 49: "Coze",
    50: "Kling", 51: "Jimeng", 52: "Vidu", 53: "Submodel", 54: "DoubaoVideo", 55: "Sora",
    56: "Replicate", 57: "Codex", 58: "AdvancedCustom", 59: "Sub2API", 60: "NewAPI",
}  # fmt: skip

# One API relay/channeltype/define.go at 8df4a267.
_ONE_API = _SHARED | {
    2: "API2D", 4: "CloseAI", 5: "OpenAISB", 26: "Baichuan", 27: "MiniMax", 28: "Mistral",
    29: "Groq", 30: "Ollama", 32: "StepFun", 33: "AWS", 34: "Coze", 35: "Cohere",
    36: "DeepSeek", 37: "Cloudflare", 38: "DeepL", 39: "TogetherAI", 40: "Doubao",
    41: "Novita", 42: "VertexAI", 43: "Proxy", 44: "SiliconFlow", 45: "xAI",
    46: "Replicate", 47: "BaiduV2", 48: "XunfeiV2", 49: "AliBailian",
    50: "OpenAICompatible", 51: "GeminiOpenAICompatible",
}  # fmt: skip


def provider(channel_type: int, flavour: Flavour) -> str:
    """Name the provider of a channel; a type that is not known is named by its number."""
    names = _NEW_API if flavour is Flavour.NEW_API else _ONE_API
    return names.get(channel_type, f"type {channel_type}")
