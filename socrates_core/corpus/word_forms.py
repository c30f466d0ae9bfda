"""Words that mean the same to a search: forms of one word, which share a stem, and synonyms from a table."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from socrates_core.yaml_files import load_yaml

# Endings by the letters that must be left: inflections, then derivations. Applied once each, the longest first.
_INFLECTED = re.compile(r"(?<=\w{3})(?:ings?|ed|es|s)$")
_DERIVED = re.compile(
    r"(?<=\w{4})(?:ational|ations?|ators?|ates?|ments?|ness|ances?|ancy|ences?|ency|ants?|ents?|ions?|ors?|ers?|isms?|ists?"
    r"|ities|ity|ives?|ably|able|ible|ials?|als?|ally|fully|ful|less|ly|acy|e)$"
)
_AS_THEY_ARE = {
    "news",
    "less",
    "does",
    "this",
    "process",
    "species",
    "minority",
    "sentence",
    "confident",
    "confidence",
}


@cache
def stem(word: str) -> str:
    """What the forms of an English word have in common: "migr" of migrant, migrants, and migration.

    Coarser than Porter's stemmer: a search gains more from one match too many than it loses.
    """
    if word in _AS_THEY_ARE or len(word) < 4:
        return word
    stemmed = word[:-3] + "y" if word.endswith("ies") else word
    if not stemmed.endswith(("ss", "us", "is")):
        stemmed = _INFLECTED.sub("", stemmed)
    if len(stemmed) > 4 and stemmed[-1] == stemmed[-2] and stemmed[-1] in "bdgmnprt":
        stemmed = stemmed[:-1]  # planned, planning
    stemmed = _DERIVED.sub("", stemmed)
    return stemmed[:-1] + "i" if stemmed.endswith("y") else stemmed


@cache
def synonyms() -> Mapping[str, frozenset[str]]:
    """The stems of the synonyms of each stem, without itself."""
    groups = load_yaml(Path(__file__).parent / "synonyms.yaml")["groups"]
    alike: dict[str, set[str]] = {}
    for group in groups:
        stems = {stem(word) for word in group}
        for one in stems:
            alike.setdefault(one, set()).update(stems - {one})
    return {one: frozenset(others) for one, others in alike.items()}
