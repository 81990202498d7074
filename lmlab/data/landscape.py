"""Who opens what: language models of some years, with the date, the size, the license, and where each fact stands.

Lecture, "where we are": closed models behind an API, open-weight models (weights and architecture, not the data), and
open-source models (data, code and weights). A row says what was published when its source was; nothing is estimated,
and what a maker does not say is None. Where the report came after the announcement, the announcement stands first.
"""

from __future__ import annotations

from dataclasses import dataclass

CLOSED, OPEN_WEIGHT, OPEN_SOURCE = "closed", "open-weight", "open-source"
ACCESSES = (CLOSED, OPEN_WEIGHT, OPEN_SOURCE)


@dataclass(frozen=True, kw_only=True)
class Published:
    """A model as its makers published it. `date` is ISO, of the announcement or report that `source` names.

    n_params and n_active: all parameters, and those that work on one token where only some do. n_tokens: of training
    text. None is "not published". weights, code (that trains) and data: whether anybody may have them.
    """

    name: str
    maker: str
    date: str
    source: str
    license: str
    n_params: float | None = None
    n_active: float | None = None
    n_tokens: float | None = None
    weights: bool = False
    code: bool = False
    data: bool = False

    @property
    def access(self) -> str:
        """Closed, open-weight or open-source: it follows from what was published.

        >>> Published(name="x", maker="y", date="2025-01-01", source="z", license="MIT", weights=True).access
        'open-weight'
        """
        if self.weights and self.code and self.data:
            return OPEN_SOURCE
        return OPEN_WEIGHT if self.weights else CLOSED

    @property
    def tokens_per_param(self) -> float | None:
        """Tokens of training text a parameter; None where one of the two was not published."""
        return None if self.n_params is None or self.n_tokens is None else self.n_tokens / self.n_params


def _open(**row: object) -> Published:
    return Published(weights=True, code=True, data=True, **row)  # type: ignore[arg-type]


LANDSCAPE = (
    Published(
        name="GPT-4", maker="OpenAI", date="2023-03-14", license="terms of use",
        source="OpenAI, GPT-4 Technical Report, arXiv 2303.08774, which gives neither size nor data",
    ),
    Published(
        name="Gemini 2.5 Pro", maker="Google", date="2025-03-25", license="terms of use",
        source="blog.google, Gemini 2.5: Our most intelligent AI model; Comanici et al., arXiv 2507.06261",
    ),
    Published(
        name="Claude Opus 4", maker="Anthropic", date="2025-05-22", license="terms of use",
        source="anthropic.com/news/claude-4, and its system card",
    ),
    Published(
        name="GPT-5", maker="OpenAI", date="2025-08-07", license="terms of use",
        source="openai.com/index/introducing-gpt-5, and its system card",
    ),
    Published(
        name="Mistral 7B", maker="Mistral AI", date="2023-09-27", license="Apache 2.0", weights=True, n_params=7.3e9,
        source="Jiang et al., arXiv 2310.06825; mistral.ai/news/announcing-mistral-7b",
    ),
    Published(
        name="Llama 3.1 405B", maker="Meta", date="2024-07-23", license="Llama 3.1 Community", weights=True,
        n_params=405e9, n_tokens=15.6e12,
        source="ai.meta.com/blog/meta-llama-3-1; Grattafiori et al., arXiv 2407.21783",
    ),
    Published(
        name="DeepSeek-V3", maker="DeepSeek", date="2024-12-26", license="DeepSeek Model License", weights=True,
        n_params=671e9, n_active=37e9, n_tokens=14.8e12,
        source="api-docs.deepseek.com/news/news1226; DeepSeek-AI, arXiv 2412.19437",
    ),
    Published(
        name="Gemma 3 27B", maker="Google", date="2025-03-12", license="Gemma Terms of Use", weights=True,
        n_params=27e9, n_tokens=14e12, source="deepmind.google/blog/introducing-gemma-3; Gemma Team, arXiv 2503.19786",
    ),
    Published(
        name="Qwen3-235B-A22B", maker="Alibaba", date="2025-04-29", license="Apache 2.0", weights=True,
        n_params=235e9, n_active=22e9, n_tokens=36e12,
        source="qwenlm.github.io/blog/qwen3; Yang et al., arXiv 2505.09388",
    ),
    Published(
        name="Kimi K2", maker="Moonshot AI", date="2025-07-11", license="modified MIT", weights=True,
        n_params=1e12, n_active=32e9, n_tokens=15.5e12,
        source="moonshotai.github.io/Kimi-K2; Kimi Team, arXiv 2507.20534",
    ),
    Published(
        name="gpt-oss-120b", maker="OpenAI", date="2025-08-05", license="Apache 2.0", weights=True,
        n_params=116.8e9, n_active=5.1e9, source="openai.com/index/introducing-gpt-oss; model card, arXiv 2508.10925",
    ),
    _open(
        name="Pythia 12B", maker="EleutherAI", date="2023-04-03", license="Apache 2.0", n_params=11.8e9, n_tokens=300e9,
        source="Biderman et al., arXiv 2304.01373; model card EleutherAI/pythia-12b",
    ),
    _open(
        name="DCLM-7B", maker="DataComp", date="2024-06-17", license="Apple Sample Code", n_params=7e9, n_tokens=2.6e12,
        source="Li et al., DataComp-LM, arXiv 2406.11794; model card apple/DCLM-7B-8k",
    ),
    _open(
        name="SmolLM2 1.7B", maker="Hugging Face", date="2025-02-04", license="Apache 2.0", n_params=1.7e9,
        n_tokens=11e12, source="Ben Allal et al., arXiv 2502.02737",
    ),
    _open(
        name="OLMo 2 32B", maker="Ai2", date="2025-03-13", license="Apache 2.0", n_params=32e9, n_tokens=6e12,
        source="allenai.org/blog/olmo2-32B; Walsh et al., arXiv 2501.00656",
    ),
    _open(
        name="Apertus 70B", maker="Swiss AI Initiative", date="2025-09-02", license="Apache 2.0", n_params=70e9,
        n_tokens=15e12, source="model card swiss-ai/Apertus-70B-2509; technical report, arXiv 2509.14233",
    ),
    _open(
        name="Olmo 3 32B", maker="Ai2", date="2025-11-20", license="Apache 2.0", n_params=32e9, n_tokens=5.5e12,
        source="allenai.org/blog/olmo3; model card allenai/Olmo-3-1125-32B; Team Olmo, arXiv 2512.13961",
    ),
)  # fmt: skip
