"""The only file that names session-state keys, query parameters and page files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from socrates_core.drafts.spec import Draft
from socrates_core.importing.mapping import Mapping as ImportMapping
from socrates_core.jobs.store import Job


@dataclass(frozen=True)
class Pages:
    """Page files by room, relative to app.py."""

    studies: str = "pages/explore/studies.py"
    study: str = "pages/explore/study.py"
    map: str = "pages/explore/map.py"
    import_: str = "pages/explore/import_study.py"
    draft: str = "pages/screen/draft.py"
    results: str = "pages/screen/results.py"
    compare: str = "pages/screen/compare.py"
    experiment: str = "pages/screen/experiment.py"
    power: str = "pages/screen/power.py"
    launch: str = "pages/train/launch.py"
    finetunes: str = "pages/train/finetunes.py"
    models: str = "pages/train/models.py"
    jobs: str = "pages/activity/jobs.py"
    storage: str = "pages/activity/storage.py"


PAGES = Pages()


def parameter(name: str) -> str | None:
    """A query parameter of the page's link."""
    value = st.query_params.get(name)
    return value or None


def set_parameters(**values: str | None) -> None:
    """Puts what the page shows into its link, as one step of the browser's history."""
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

    Streamlit 1.67 first puts the new parameters behind the old page's address, as a step of its own in the browser's
    history. Back leads to that step, so what the page showed there is kept for `enter_page`.
    """
    left, opened, link = st.session_state.get("page"), Path(page).stem, _link()
    step = {name: [value] for name, value in parameters.items()}
    if left not in (None, opened) and step != link:
        st.session_state.setdefault("steps", {})[_address(left, step)] = (link, opened)
    st.switch_page(page, query_params=parameters)


def enter_page(path: str) -> None:
    """Notes which page is shown; where Back led to a step that `go_to` left behind, the page's own link is restored.

    A page without parameters is such a step only right after the page that `go_to` opened: the menu leads there too.
    """
    page = path or Path(PAGES.studies).stem
    before, st.session_state["page"] = st.session_state.get("page"), page
    step = st.session_state.get("steps", {}).get(_address(page, _link()))
    if step is None or before == page:
        return
    link, opened = step
    if _link() or before == opened:
        st.query_params.from_dict(link)
        st.rerun()


def _link() -> dict[str, list[str]]:
    return {name: st.query_params.get_all(name) for name in st.query_params}


def _address(page: str, link: Mapping[str, list[str]]) -> str:
    return f"{page}?{urlencode(sorted(link.items()), doseq=True)}"


@dataclass
class Editing:
    """The draft under the cursor: its id, what is saved, and the steps back and forth.

    `generation` is part of every widget's key, so that undo and re-ordering build the form anew.
    """

    draft_id: str
    draft: Draft
    undo: list[Draft]
    redo: list[Draft]
    generation: int = 0
    notice: str = ""

    def key(self, *parts: object) -> str:
        return ":".join(["draft", self.draft_id, str(self.generation), *map(str, parts)])


def editing() -> Editing | None:
    found: Any = st.session_state.get("editing")
    return found if isinstance(found, Editing) else None


def set_editing(value: Editing | None) -> None:
    st.session_state["editing"] = value


@dataclass
class Importing:
    """The upload whose mapping is being corrected: the mapping that its tables were built from.

    `generation` is part of every widget's key, so that a mapping from elsewhere builds the tables anew.
    """

    upload_id: str
    mapping: ImportMapping
    generation: int = 0

    def key(self, *parts: str) -> str:
        return ":".join(["import", self.upload_id, str(self.generation), *parts])


def importing() -> Importing | None:
    found: Any = st.session_state.get("importing")
    return found if isinstance(found, Importing) else None


def set_importing(value: Importing | None) -> None:
    st.session_state["importing"] = value


def widget(key: str, default: Any) -> Any:
    """What a widget holds, or `default` before it was drawn."""
    return st.session_state.get(key, default)


def follow_link(key: str, linked: Any) -> None:
    """Lets the widget `key` show `linked` where the link changed since the widget was last seen, as Back changes it.

    What a person has changed by hand in the meantime stays, as the browser may send that with the link before it.
    """
    before = st.session_state.get(f"{key}:link")
    if key not in st.session_state or (st.session_state[key] == before != linked):
        st.session_state[key] = linked


def note_link(key: str, chosen: Any) -> None:
    """Remembers what the widget `key` put into the link."""
    st.session_state[f"{key}:link"] = chosen


def wished_model() -> str | None:
    """The model that the last link to the draft page named, for as long as the session lasts."""
    named = parameter("model")
    if named is not None:
        st.session_state["wished_model"] = named
    found = st.session_state.get("wished_model")
    return found if isinstance(found, str) else None


def newly_ended(jobs: Iterable[Job]) -> list[Job]:
    """The jobs that were active when this was last asked in the session, and have ended since."""
    found = list(jobs)
    before: set[str] = st.session_state.get("active_jobs", set())
    going_on = {job.id for job in found if job.active or job.can_be_taken_over}
    st.session_state["active_jobs"] = going_on
    return [job for job in found if job.id in before - going_on]


def note_archive(path: str, n_things: int) -> None:
    """Remembers the archive that was written last in this session."""
    st.session_state["archive"] = (path, n_things)


def last_archive() -> tuple[str, int]:
    """The file of the archive that was written last, "" where none was, and how many things it holds."""
    path, n_things = st.session_state.get("archive", ("", 0))
    return str(path), int(n_things)


def set_flash(text: str) -> None:
    """A sentence to show once, after the page has moved on."""
    st.session_state["flash"] = text


def pop_flash() -> str | None:
    return str(st.session_state.pop("flash", "")) or None
