"""Versions of the scoring, and what was wrong in answers and finetunes of earlier versions.

`records.SCORING_VERSION` is part of every responder's card and so of its fingerprint: a stored answer of an earlier
version is not used again. Raise it with every change that can alter an answer or a loss, and describe here what was
wrong.
"""

from collections.abc import Mapping
from typing import Any

from socrates_core.records import SCORING_VERSION

# version -> what was wrong until then, for (local models, served models, finetunes)
_WRONG_UNTIL: Mapping[int, tuple[str, str, str]] = {
    2: (
        "with a chat template that writes a blank before an answer, opens a thought or names a special token that is "
        "not set, the options were read in the wrong place; and a base model could keep what an adapter with trained "
        "biases had changed",
        "options that the server did not list among the likeliest first tokens counted as zero",
        "losses over several answers were summed in 16 bits where the model computes in bf16, and blanks that a chat "
        "template writes before an answer were left out",
    ),
}


def wrong_answers(card: Mapping[str, Any]) -> str:
    """What may be wrong with answers of the responder with this card; "" if nothing is known to be."""
    if card.get("precision") == "none":  # a stand-in, whose answers no version changes
        return ""
    # Cards from before the first change name no version: theirs is 1.
    return _sentence(card.get("scoring", 1), 1 if card.get("server") else 0, "answered")


def wrong_training(training: Mapping[str, Any]) -> str:
    """What may be wrong with a finetune, by the part `training` of its model's card; "" if nothing is known to be."""
    return _sentence(training.get("scoring", 1), 2, "trained")


def _sentence(stored: object, place: int, done: str) -> str:
    version = stored if isinstance(stored, int) and not isinstance(stored, bool) else 1
    if version >= SCORING_VERSION:
        return ""
    since = range(version + 1, SCORING_VERSION + 1)
    wrong = "; ".join(_WRONG_UNTIL[number][place] for number in since if number in _WRONG_UNTIL)
    current = f"version {SCORING_VERSION} is current"
    return f"This was {done} by version {version} of the scoring; {current}. Until then, {wrong}."
