"""The only file that names session-state keys, query parameters and page files."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from socrates_core.importing.mapping import Mapping as ImportMapping
from socrates_core.jobs.store import Job
from socrates_core.surveys.draft import Draft


@dataclass(frozen=True)
class Pages:
    """Page files by place, relative to app.py."""

    home: str = "pages/home/home.py"
    studies: str = "pages/library/library.py"
    study: str = "pages/library/study.py"
    map: str = "pages/library/map.py"
    import_: str = "pages/library/import_study.py"
    draft: str = "pages/project/draft.py"
    results: str = "pages/project/results.py"
    compare_runs: str = "pages/project/compare_runs.py"
    experiment: str = "pages/project/experiment.py"
    power: str = "pages/project/power.py"
    compare: str = "pages/evidence/evidence.py"
    launch: str = "pages/models/train.py"
    finetunes: str = "pages/models/finetunes.py"
    models: str = "pages/models/models.py"
    jobs: str = "pages/settings/jobs.py"
    storage: str = "pages/settings/storage.py"


PAGES = Pages()
# The path of each page in the address of the window, which is the name of its file: Streamlit's AppTest opens a page by
# its file before the pages are registered. The dashboard opens at "".
ADDRESSES = {
    PAGES.home: "",
    PAGES.studies: "library",
    PAGES.study: "study",
    PAGES.map: "map",
    PAGES.import_: "import_study",
    PAGES.draft: "draft",
    PAGES.results: "results",
    PAGES.compare_runs: "compare_runs",
    PAGES.experiment: "experiment",
    PAGES.power: "power",
    PAGES.compare: "evidence",
    PAGES.launch: "train",
    PAGES.finetunes: "finetunes",
    PAGES.models: "models",
    PAGES.jobs: "jobs",
    PAGES.storage: "storage",
}
# Addresses of earlier versions, which people may have shared.
OLD_ADDRESSES = {
    "studies": PAGES.studies,
    "compare": PAGES.compare,
    "launch": PAGES.launch,
}


def parameter(name: str) -> str | None:
    """A query parameter of the page's link; None if it is missing or empty."""
    value = st.query_params.get(name)
    return value or None


def set_parameters(**values: str | None) -> None:
    """Writes what the page shows into its link, as one step of the browser's history."""
    for name, value in values.items():
        if value is None:
            st.query_params.pop(name, None)
    changed = {
        name: value
        for name, value in values.items()
        if value is not None and st.query_params.get(name) != value
    }
    if changed:
        st.query_params.update(changed)


def go_to(page: str, **parameters: str) -> None:
    """Opens a page with `parameters` in its link.

    Streamlit 1.67 first adds the new parameters to the old page's address, as a step of its own in the browser's
    history. Back leads to that step, so the link that the page had there is kept for `enter_page`.
    """
    left = st.session_state.get("page")
    opened = ADDRESSES[page]
    link = _link()
    step = {name: [value] for name, value in parameters.items()}
    if left not in (None, opened) and step != link:
        st.session_state.setdefault("steps", {})[_address(left, step)] = (link, opened)
    st.switch_page(page, query_params=parameters)


def enter_page(page: str) -> None:
    """Remembers which page is shown. If Back led to a step that `go_to` left behind, restores the page's own link.

    A page without parameters is such a step only right after the page that `go_to` opened: the menu leads there too.
    """
    before = st.session_state.get("page")
    st.session_state["page"] = page
    step = st.session_state.get("steps", {}).get(_address(page, _link()))
    if step is None or before == page:
        return
    link, opened = step
    if _link() or before == opened:
        st.query_params.from_dict(link)
        st.rerun()


def redirect(page: str) -> Callable[[], None]:
    """A page that opens `page` with the parameters of its own link, for addresses of earlier versions."""

    def moved() -> None:
        st.switch_page(page, query_params=_link())

    return moved


def open_old_link() -> None:
    """Opens what a link to the start page meant when it was the list of studies: a study or a search."""
    if "study" in st.query_params:
        st.switch_page(PAGES.study, query_params=_link())
    if st.query_params:
        st.switch_page(PAGES.studies, query_params=_link())


def _link() -> dict[str, list[str]]:
    return {name: st.query_params.get_all(name) for name in st.query_params}


def _address(page: str, link: Mapping[str, list[str]]) -> str:
    return f"{page}?{urlencode(sorted(link.items()), doseq=True)}"


@dataclass
class Editing:
    """The draft that is being edited: its id, what is saved, and the steps to undo and redo.

    `generation` is part of every widget's key, so that undo and reordering build the form again. `tables` are the
    rows that editable tables were first drawn with, by key.
    """

    draft_id: str
    draft: Draft
    undo: list[Draft]
    redo: list[Draft]
    generation: int = 0
    notice: str = ""
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    def key(self, *parts: object) -> str:
        return ":".join(["draft", self.draft_id, str(self.generation), *map(str, parts)])


def editing() -> Editing | None:
    held: Any = st.session_state.get("editing")
    return held if isinstance(held, Editing) else None


def set_editing(value: Editing | None) -> None:
    st.session_state["editing"] = value


@dataclass
class Importing:
    """The upload whose mapping is being corrected, with the mapping that its tables were built from.

    `generation` is part of every widget's key, so that another mapping builds the tables again.
    """

    upload_id: str
    mapping: ImportMapping
    generation: int = 0

    def key(self, *parts: str) -> str:
        return ":".join(["import", self.upload_id, str(self.generation), *parts])


def importing() -> Importing | None:
    held: Any = st.session_state.get("importing")
    return held if isinstance(held, Importing) else None


def set_importing(value: Importing | None) -> None:
    st.session_state["importing"] = value


def widget(key: str, default: Any) -> Any:
    """The value of a widget, or `default` before it is drawn."""
    return st.session_state.get(key, default)


def follow_link(key: str, linked: Any) -> None:
    """Sets the widget `key` to `linked` if the link has changed since the widget was last drawn, as Back changes it.

    A change by hand stays: the browser may send it together with the link from before the change.
    """
    before = st.session_state.get(f"{key}:link")
    if key not in st.session_state or (st.session_state[key] == before != linked):
        st.session_state[key] = linked


def note_link(key: str, chosen: Any) -> None:
    """Remembers what the widget `key` wrote into the link."""
    st.session_state[f"{key}:link"] = chosen


def wished_model() -> str | None:
    """The model in the last link to a page with a model picker, for the rest of the session."""
    named = parameter("model")
    if named is not None:
        st.session_state["wished_model"] = named
    held = st.session_state.get("wished_model")
    return held if isinstance(held, str) else None


def ended_here(jobs: Iterable[Job]) -> list[Job]:
    """The jobs that were active at some call in this session and have ended since, the last one first."""
    listed = list(jobs)
    before: set[str] = st.session_state.get("active_jobs", set())
    going_on = {job.id for job in listed if job.active or job.can_be_taken_over}
    st.session_state["active_jobs"] = before | going_on
    return [job for job in reversed(listed) if job.id in before - going_on]


def note_archive(path: str, n_things: int) -> None:
    """Remembers the last archive written in this session."""
    st.session_state["archive"] = (path, n_things)


def last_archive() -> tuple[str, int]:
    """The file of the last archive ("" without one) and the number of things in it."""
    path, n_things = st.session_state.get("archive", ("", 0))
    return str(path), int(n_things)


def set_flash(text: str) -> None:
    """Keeps a sentence that the next page shows once."""
    st.session_state["flash"] = text


def pop_flash() -> str | None:
    return str(st.session_state.pop("flash", "")) or None
