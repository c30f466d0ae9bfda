"""The starter studies, in the order in which they are shown to be prepared."""

from socrates_core.corpus.starter_studies.decisions import DISCLOSURE, OPPORTUNITY, SPORTSCARDS, WEATHER
from socrates_core.corpus.starter_studies.nature import APPLE, KAKADU, NATURAL_PARK
from socrates_core.corpus.starter_studies.politics import ABORTION, FRAMING, HEALTHCARE
from socrates_core.corpus.starter_studies.record import Answers, StarterStudy
from socrates_core.corpus.starter_studies.society import GARCIA, JOBS, TALOR

STUDIES: tuple[StarterStudy, ...] = (
    FRAMING,
    KAKADU,
    APPLE,
    TALOR,
    GARCIA,
    HEALTHCARE,
    OPPORTUNITY,
    DISCLOSURE,
    WEATHER,
    NATURAL_PARK,
    SPORTSCARDS,
    ABORTION,
    JOBS,
)

__all__ = ["STUDIES", "Answers", "StarterStudy"]
