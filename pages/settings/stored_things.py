"""The parts of the page Storage: sizes, the things of each kind, the bin, archives, verification."""

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pandas as pd
import streamlit as st

from pages.view import state
from pages.view.fields.link import linked_box
from pages.view.fields.table import choose_row
from pages.view.words import counted, escape, visible
from socrates_core.errors import UserError
from socrates_core.keeping.archive import NEVER_ARCHIVED, export_project, import_project, own_kinds
from socrates_core.keeping.kinds import KINDS, consequences, delete, deleted_records, restore, users
from socrates_core.keeping.verify import verify
from socrates_core.settings import folder

PLURALS = {
    "draft": "Drafts",
    "run": "Runs",
    "experiment": "Experiments",
    "evaluation": "Evaluations",
    "finetune": "Finetunes",
    "adapter": "Adapters",
    "rationales": "Rationales",
    "split": "Splits",
    "scales": "Scales set by hand",
    "population": "Populations",
    "upload": "Uploads",
    "corpus": "Corpora",
    "model": "Models",
    "job": "Jobs",
    "cache": "Answer cache",
    "bin": "Bin",
    "other": "Everything else",
}
MOST_DOWNLOAD = 200 * 10**6  # bytes; a larger archive is left where it was written
_SIZE = st.column_config.NumberColumn("MB", format="%.2f", width="small")


def show_sizes(sizes: dict[str, tuple[int, int]]) -> None:
    """The size of each kind, the largest first, and the free space."""
    total = sum(n_bytes for _, n_bytes in sizes.values())
    free = shutil.disk_usage(folder()).free
    st.caption(
        escape(
            f"{total / 1e6:,.1f} MB in {folder()}; {free / 1e9:,.1f} GB are free on its disk. Clear the answer "
            "cache under Jobs."
        )
    )
    table = [
        {
            "Kind": PLURALS[name],
            "How many": f"{n:,}" if name in KINDS or name == "bin" else "",
            "MB": n_bytes / 1e6,
            "Share": n_bytes / total if total else 0.0,
        }
        for name, (n, n_bytes) in sorted(sizes.items(), key=lambda item: -item[1][1])
        if n or n_bytes
    ]
    share = st.column_config.ProgressColumn("Share", format="percent")
    st.dataframe(table, hide_index=True, key="sizes", column_config={"MB": _SIZE, "Share": share})


def show_things(names: dict[str, str]) -> None:
    """The things of the chosen kind, one of which can be deleted."""
    linked = state.parameter("kind")
    kind = linked_box("Kind", names, linked, lambda name: {"kind": name}, key="kind_box")
    records = sorted(KINDS[kind].stored(), key=lambda record: -record.n_bytes)
    name = choose_row(
        [
            {"Name": visible(record.name), "MB": record.n_bytes / 1e6, "Changed": record.changed}
            for record in records
        ],
        [record.name for record in records],
        key=f"things_{kind}",
        column_config={
            "MB": _SIZE,
            "Changed": st.column_config.DatetimeColumn(format="distance"),
            "Name": st.column_config.TextColumn(width="large"),
        },
    )
    if name is None:
        st.caption("Select an item to manage it.")
        return
    _ask_delete(kind, name)


def _ask_delete(kind: str, name: str) -> None:
    for sentence in consequences(kind, name):
        st.warning(escape(sentence), icon=":material/warning:")
    jobs = users(kind, name)
    if jobs:
        titles = ", ".join(job.title for job in jobs)
        st.markdown(escape(f"In use by {titles}. Wait for it, or cancel it first."))
    st.text(visible(name))
    if st.button(
        "Move to the bin",
        icon=":material/delete:",
        disabled=bool(jobs),
        key=f"thing_delete_{kind}_{name}",
    ):
        delete(kind, name)
        state.set_flash(f"{name} is in the bin below, from which it comes back.")
        st.rerun()


def show_bin() -> None:
    """What was deleted, each with a button to restore it; and a button that empties the bin."""
    deleted = deleted_records()
    if not deleted:
        return
    size = sum(record.n_bytes for record in deleted)
    with st.expander(
        f"Bin: {counted(len(deleted), 'thing')}, {size / 1e6:,.1f} MB", icon=":material/delete:"
    ):
        for record in deleted[:50]:
            name, back = st.columns([4, 1], vertical_alignment="center")
            name.text(visible(f"{record.kind} {record.name}, {record.n_bytes / 1e6:,.2f} MB"))
            if back.button("Bring back", key=f"bin_restore_{record.kind}_{record.deleted_at}_{record.name}"):
                restore(record.kind, record.name)
                state.set_flash(f"{record.name} is back.")
                st.rerun()
        if len(deleted) > 50:
            st.caption(f"And {len(deleted) - 50} more: `python -m socrates_core storage --bin`")
        sure = st.checkbox("I want no way back", key="bin_sure")
        if st.button("Empty the bin", disabled=not sure, key="bin_empty"):
            for record in deleted:
                record.discard()
            state.set_flash(f"{counted(len(deleted), 'thing')} deleted for good, {size / 1e6:,.1f} MB freed.")
            st.rerun()


def show_archive() -> None:
    """Writes a project to one file, or reads one."""
    st.markdown(
        "Drafts, runs, evaluations, finetunes, adapters and splits with a checksum each, for another machine or a "
        "colleague. Studies and base models are left out unless you choose them."
    )
    kinds = st.multiselect(
        "What goes in",
        [kind for kind, records in KINDS.items() if kind not in NEVER_ARCHIVED and records.stored()],
        key="archive_kinds",
        default=[kind for kind in own_kinds() if KINDS[kind].stored()],
        format_func=PLURALS.__getitem__,
    )
    if st.button("Write an archive", icon=":material/archive:", disabled=not kinds, key="archive_write"):
        path = folder("archives") / f"project-{datetime.now(UTC):%Y%m%d-%H%M%S}.zip"
        with st.spinner("Packing"):
            written = export_project(path, kinds)
        state.note_archive(str(path), len(written))
    _offer()
    given = st.file_uploader("Bring in an archive", type=["zip"], key="archive_file")
    if given is not None and st.button("Bring it in", icon=":material/unarchive:", key="archive_read"):
        _bring_in(given)


def _offer() -> None:
    path, n = state.last_archive()
    if not path or not Path(path).exists():
        return
    size = Path(path).stat().st_size
    st.success(escape(f"{counted(n, 'thing')}, {size / 1e6:,.1f} MB: {path}"), icon=":material/check:")
    if size <= MOST_DOWNLOAD:
        st.download_button(
            "Download it",
            lambda: Path(path).read_bytes(),
            Path(path).name,
            "application/zip",
            on_click="ignore",
            icon=":material/download:",
            key="archive_download",
        )


def _bring_in(given: IO[bytes]) -> None:
    with tempfile.NamedTemporaryFile(suffix=".zip", dir=folder()) as file:
        shutil.copyfileobj(given, file)
        file.flush()
        try:
            brought = import_project(Path(file.name))
        except UserError as error:
            # The error names our temporary copy, which the person has never seen.
            st.error(escape(str(error).replace(repr(file.name), "The file")), icon=":material/error:")
            return
    sentence = f"{counted(len(brought.added), 'thing')} brought in, {len(brought.same)} were here already."
    st.success(escape(sentence), icon=":material/check:")
    for sentence in brought.cautions:
        st.info(escape(sentence), icon=":material/info:")
    for kind, name in brought.taken:
        st.warning(escape(f"Left out: another {kind} {name!r} is here. Delete that one first."))


def show_verify() -> None:
    """Recomputes everything and lists what does not match."""
    st.markdown("Digests, and the numbers of runs and evaluations, computed again from the stored rows.")
    if not st.button("Verify everything", icon=":material/verified:", key="verify"):
        return
    verdicts = []
    with st.status("Verifying", expanded=False) as status:
        for verdict in verify():
            verdicts.append(verdict)
            status.update(label=f"Verifying: {len(verdicts):,} looked at")
    wrong = [verdict for verdict in verdicts if not verdict.whole]
    sentence = (
        f"{counted(len(verdicts), 'thing')} looked at, {len(verdicts) - len(wrong)} whole, {len(wrong)} not."
    )
    if not wrong:
        st.success(escape(sentence), icon=":material/verified:")
        return
    st.error(escape(sentence), icon=":material/error:")
    rows = [
        {"Kind": verdict.kind, "Name": visible(verdict.name), "What is wrong": visible(verdict.problem)}
        for verdict in wrong
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="verdicts")
