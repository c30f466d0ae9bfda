"""The page on which a finetune is started."""

from typing import Any

from streamlit.testing.v1 import AppTest

from socrates_core.corpus.splits import save_split
from socrates_core.corpus.splits_make import make_split
from socrates_core.corpus.store import open_corpus

PAGE = "pages/models/launch.py"


def split(kind: str = "studies", name: str = "mine") -> str:
    save_split(make_split(open_corpus("starter"), kind, name=name, studies=FOUR))
    return name


def field(app: AppTest, label: str) -> Any:
    return next(each for each in app.text_input if each.label == label)


def error(app: AppTest) -> str:
    return app.error[0].value.replace("\\", "")


FOUR = ["garcia", "kakadu", "talor", "weather"]
