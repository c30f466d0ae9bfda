"""Texts as vectors: nearly the same wording is found among many, and words say what a text is about."""

import numpy as np
import pytest

from socrates_core.corpus.text_vectors import character_vectors, most_alike, word_vectors

LONG = "A new law would let shops in your town stay open on {} until ten at night, and sell bread, milk and newspapers."


def test_a_reworded_text_is_found_among_thousands_whatever_its_case_and_line_breaks() -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghijklmnoprstuvw"), 7)) for _ in range(3_000)]
    others = [" ".join(rng.choice(words, 40)) for _ in range(2_500)]
    texts = [text.upper().replace(" ", "\n\n", 9) for text in others[::2]]
    texts = [f"{text} added" for text in texts]
    alike = most_alike(texts, others, 0.9)
    assert (alike.likeness >= 0.9).all() and (alike.positions == np.arange(0, 2_500, 2)).all()
    strangers = [" ".join(rng.choice(words, 40)) for _ in range(1_200)]
    assert (most_alike(strangers, others, 0.9).likeness < 0.9).all()


def test_texts_of_one_group_are_not_compared() -> None:
    texts = [LONG.format("Sundays"), LONG.format("Mondays")]
    others = [LONG.format("Sundays")] * 8 + [LONG.format("Fridays"), "Something else entirely."]
    groups = ["own"] * 8 + ["other", "other"]
    alike = most_alike(texts, others, 0.8, groups=["own", "own"], other_groups=groups)
    assert alike.positions.tolist() == [8, 8] and (alike.likeness > 0.8).all()
    alone = most_alike(texts, others, 0.8, groups=["own", "own"], other_groups=["own"] * 10)
    assert alone.likeness.tolist() == [0, 0]


@pytest.mark.parametrize(("texts", "others"), [([], ["a"]), (["a"], []), (["", "\ud800"], ["", "x"])])
def test_no_texts_empty_ones_and_broken_characters_are_compared(texts: list[str], others: list[str]) -> None:
    alike = most_alike(texts, others, 0.9)
    assert len(alike.likeness) == len(texts) and np.isfinite(alike.likeness).all()


def test_vectors_have_length_one_and_the_cosine_of_equal_texts_is_one() -> None:
    vectors = character_vectors(["Yes", "How worried are you?"])
    np.testing.assert_allclose((vectors @ vectors.T).diagonal(), 1, rtol=1e-6)


def test_words_count_without_accents_and_case_and_none_are_no_vectors() -> None:
    known = word_vectors(["Café society", "A river of fish"])
    assert known is not None and known.words.tolist() == ["cafe", "fish", "river", "society"]
    assert (known.vectors @ known.of("the CAFE").T).toarray().ravel().tolist() == pytest.approx([0.5**0.5, 0])
    assert word_vectors(["the of and", "12 3"]) is None and word_vectors([]) is None
