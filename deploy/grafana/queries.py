"""PromQL with words in it: what panels ask, whatever the dashboard's variables choose.

| word | what it stands for |
|---|---|
| `{SERVER}` | the servers that are chosen |
| `{MODEL}` | their series of the versions that are chosen |
| `{CLASSIFY}` | those of single calls that classify: streams last as long as their callers like |
| `[RATE]` | as long as a rate needs |

More matchers may follow a word in its braces: `{SERVER,code="OK"}`.
"""

from typing import Final

SERVER: Final = 'job=~"$job",instance=~"$instance"'
MODEL: Final = f'{SERVER},model=~"$model",version=~"$version"'
CLASSIFY: Final = f'{MODEL},method=~".+/(Classify|ModelInfer|Predict)"'

WORDS: Final = {
    "{SERVER": "{" + SERVER,
    "{MODEL": "{" + MODEL,
    "{CLASSIFY": "{" + CLASSIFY,
    "[RATE]": "[$__rate_interval]",
}


def fill(query: str) -> str:
    """The query as Prometheus understands it, but for Grafana's variables."""
    for word, meaning in WORDS.items():
        query = query.replace(word, meaning)
    return query


def rate(counter: str, by: str = "") -> str:
    """How fast a counter grows, a second; of all together, or for each of the labels."""
    return f"sum{grouping(by)} (rate({counter}[RATE]))"


def growth(counter: str, by: str = "") -> str:
    """How much a counter grew from one point of the graph to the next."""
    return f"sum{grouping(by)} (increase({counter}[RATE]))"


def quantile(share: float, histogram: str, by: str = "", of: str = "MODEL") -> str:
    """The value that so large a share of what a histogram saw lately is below."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket{{{of}}}', labels)})"


def mean(histogram: str, by: str) -> str:
    """The mean of what a histogram saw lately."""
    return f"{rate(f'{histogram}_sum{{MODEL}}', by)} / {rate(f'{histogram}_count{{MODEL}}', by)}"


def share(part: str, whole: str, by: str = "") -> str:
    """One counter's rate over another's; 0 where the first does not exist yet."""
    return f"({rate(part, by)} or {rate(whole, by)} * 0) / {rate(whole, by)}"


def grouping(by: str) -> str:
    """The clause of an aggregation."""
    return f" by ({by})" if by else ""
