"""Topics made from the words of studies whose source names none."""

from socrates_core.corpus.topics import LEAST_STUDIES, name_topics

THEMES = {
    "police": "The officer stopped the car. Police said the crime was a robbery near the station.",
    "health": "The doctor told the patient about the vaccine. The clinic and nurses treat an illness.",
    "school": "A teacher gave pupils homework. Lessons in the classroom end with an exam.",
    "nature": "Forests and rivers shelter wolves. Rangers protect wildlife from hunters.",
}


def test_studies_that_share_words_share_a_topic_named_by_them() -> None:
    texts = {f"{theme}-{n}": f"{text} Case {n}." for theme, text in THEMES.items() for n in range(8)}
    found = name_topics(texts)
    assert len(set(found.values())) == len(THEMES)
    for name, topic in found.items():
        theme = name.split("-")[0]
        assert topic == found[f"{theme}-0"]
        assert set(topic.split(", ")) <= set(THEMES[theme].lower().replace(".", "").split())
    assert name_topics(texts) == found


def test_few_studies_or_texts_without_words_in_common_get_none() -> None:
    assert name_topics({f"s{n}": THEMES["police"] for n in range(LEAST_STUDIES - 1)}) == {}
    assert name_topics({f"s{n}": "" for n in range(LEAST_STUDIES)}) == {}
