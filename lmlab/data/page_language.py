"""Is a page in English? By its small words, and by the script that it is written in.

Every language has a few dozen words that hardly a sentence does without. Counting them is the oldest way to tell
languages apart, and enough for whole pages. Real pipelines use a classifier over character n-grams (fastText, 176
languages; Joulin et al. 2016), which can also tell languages without small words of their own.
"""

from __future__ import annotations

import functools
import re
from collections import Counter

import regex

SMALL_WORDS = {
    "English": "the of and to in is that for it as with on be this are or by an at from not have which you if can was "
    "but they there their will when all we your has would been its these any than into his who a no do so one",
    "German": "der die und das ist den von zu mit sich des auf für nicht ein eine dem im es an auch als wie wird sie "
    "einen einer hat dass er aus bei um nach wenn nur aber sind noch oder wer was dann",
    "Spanish": "de la que el en y los se del las un por con una su para es al lo como más pero sus le ha este si "
    "porque esta son entre cuando muy sin sobre ser también hay donde quien todo no",
    "French": "de la le et les des en un du une que est pour qui dans par sur au pas plus ne se ce il sont avec son "
    "aux mais comme ou elle cette nous vous ses être fait tout quand",
    "Italian": "di e il la che in un per è non una del si con le dei da della sono gli al ha come lo alla nel più ma "
    "anche o se i questo quando delle era tutti a",
    "Portuguese": "de a o que e do da em um para com não uma os no se na por mais as dos como mas ao ele das à seu sua "
    "ou quando muito já eu também só pelo",
    "Dutch": "de van het een en in is dat op te zijn met voor niet aan er om ook als dan maar bij door naar heeft ze "
    "worden uit nog wordt hij geen kan wat",
}
SCRIPTS = {
    "Arabic": "Arabic", "Chinese": "Han", "Hindi": "Devanagari", "Russian": "Cyrillic", "Greek": "Greek",
    "Japanese": "Hiragana", "Korean": "Hangul", "Hebrew": "Hebrew", "Thai": "Thai",
}  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+")


def language_shares(text: str) -> dict[str, float]:
    """How likely each language is: small words found, or letters of its script, as shares that sum to one.

    Empty where there is neither a small word nor another script: a table, an attachment.

    >>> max(shares := language_shares("Der Hund ist auf dem Markt."), key=shares.get)
    'German'
    """
    words = Counter(word.lower() for word in _WORD.findall(text))
    found = {name: sum(words[w] * weight for w, weight in small.items()) for name, small in _small().items()}
    for name, script in _scripts().items():
        # such letters count as words of about five would, of which two in five are small
        found[name] = len(script.findall(text)) / 12
    total = sum(found.values())
    return {name: n / total for name, n in found.items() if n} if total else {}


def english_share(text: str) -> float:
    """How likely English is, from 0 to 1; 0 where nothing can be told."""
    return language_shares(text).get("English", 0.0)


@functools.cache
def _small() -> dict[str, dict[str, float]]:
    """The small words of each language, each counting the less the more languages have it: squared, since "in" says
    next to nothing and "the" says all."""
    lists = {name: set(words.split()) for name, words in SMALL_WORDS.items()}
    n_lists = Counter(word for words in lists.values() for word in words)
    return {name: {word: 1 / n_lists[word] ** 2 for word in words} for name, words in lists.items()}


@functools.cache
def _scripts() -> dict[str, regex.Pattern[str]]:
    return {name: regex.compile(rf"\p{{Script={script}}}") for name, script in SCRIPTS.items()}
