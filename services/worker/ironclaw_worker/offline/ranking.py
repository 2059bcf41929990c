"""TextRank (Mihalcea and Tarau, 2004): a sentence weighs as much as those it shares words with."""

import math
from collections import Counter

from ironclaw_worker.offline.sentences import Sentence

_DAMPING = 0.85
_ROUNDS = 30


def rank(sentences: list[Sentence]) -> list[float]:
    """Return the weight of each sentence; ties are for the caller to break by position."""
    links = _similarities(sentences)
    totals = [sum(row.values()) for row in links]
    weights = [1.0] * len(sentences)
    for _ in range(_ROUNDS):
        weights = [
            (1 - _DAMPING)
            + _DAMPING * sum(weights[other] * share / totals[other] for other, share in links[index].items())
            for index in range(len(sentences))
        ]
    return weights


def best(sentences: list[Sentence], count: int) -> list[Sentence]:
    """Return the weightiest sentences in the order in which they stand in the text."""
    weights = rank(sentences)
    chosen = sorted(range(len(sentences)), key=lambda index: (-round(weights[index], 9), index))[:count]
    return [sentences[index] for index in sorted(chosen)]


def keywords(sentences: list[Sentence], count: int) -> list[str]:
    """Return the words that occur in the most sentences, the commonest first, then by alphabet."""
    frequency = Counter(word for sentence in sentences for word in sentence.words)
    return [word for word, _ in sorted(frequency.items(), key=lambda item: (-item[1], item[0]))[:count]]


def _similarities(sentences: list[Sentence]) -> list[dict[int, float]]:
    links: list[dict[int, float]] = [{} for _ in sentences]
    lengths = [math.log(len(sentence.words) + 1) for sentence in sentences]
    for i, first in enumerate(sentences):
        for j in range(i + 1, len(sentences)):
            shared = len(first.words & sentences[j].words)
            if shared:
                links[i][j] = links[j][i] = shared / (lengths[i] + lengths[j])
    return links
