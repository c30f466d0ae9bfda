"""Topics of studies whose source names none, in words that people use."""

from socrates_core.corpus.topics import name_topics

TEXTS = {
    "Law, courts, and police": "The officer stopped the car. Police said the crime was a robbery near the station.",
    "Health and medicine": "The doctor told the patient about the vaccine. The clinic and nurses treat an illness.",
    "Education": "A teacher gave pupils homework. Lessons in the classroom end with an exam.",
    "Environment and energy": "Forests and rivers shelter wolves. Rangers protect wildlife from hunters.",
}


def test_a_study_gets_the_topic_whose_words_it_uses_most_whatever_their_endings() -> None:
    assert name_topics(TEXTS) == {topic: topic for topic in TEXTS}
    both = f"{TEXTS['Education']} One pupil saw a doctor at a clinic."
    assert name_topics({"s": both}) == {"s": "Education"}


def test_a_text_that_hardly_uses_words_of_any_topic_gets_none() -> None:
    assert name_topics({"s": "", "t": "A doctor. Only return an integer from 1 to 7, nothing else."}) == {}
