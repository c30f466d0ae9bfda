"""The report of a run or comparison as a download: a page, and a folder with scripts that recompute its numbers."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from pages.view import run_charts
from pages.view.words import escape
from socrates_core.errors import UserError
from socrates_core.evaluations.comparison import Comparison
from socrates_core.projects.run_export import zip_folder
from socrates_core.projects.run_results import SimulationRun
from socrates_core.reporting.comparison_report import write_comparison_report
from socrates_core.reporting.run_report import write_report


@dataclass(frozen=True)
class Packed:
    """The report's page, the zipped folder, and why no browser drew the figures (empty if one did)."""

    page: bytes
    folder: bytes
    note: str


def show_report(run: SimulationRun) -> None:
    """The button that makes the report, then the downloads."""
    st.markdown(
        "**Report**: one page that needs no network, and its folder: data long and wide, codebook, exact prompts, "
        "preregistration drafts, sources with licences, and scripts in Python and R that compute every number again."
    )
    by_browser = st.checkbox(
        "Figures as on these pages, drawn by this machine's Chrome or Chromium", value=True
    )
    if not st.button("Prepare the folder", icon=":material/folder_zip:", key="export_prepare"):
        return
    with st.spinner("Drawing and packing"):
        packed = _pack(run, by_browser=by_browser)
    if packed.note:
        st.warning(escape(f"{packed.note} The report drew bars and dots of its own."), icon=":material/info:")
    name = run.spec.run_id
    with st.container(horizontal=True):
        st.download_button(
            "Download the folder",
            packed.folder,
            f"{name}.zip",
            "application/zip",
            on_click="ignore",
            type="primary",
            icon=":material/download:",
            key="export_download",
        )
        st.download_button(
            "Download the page alone",
            packed.page,
            f"{name}.html",
            "text/html",
            on_click="ignore",
            icon=":material/description:",
            key="export_page",
        )


def show_comparison_report(comparison: Comparison, field: str | None) -> None:
    """The button that makes a comparison's report, with groups by the demographic `field` if there is one."""
    st.markdown(
        "**Report**: one page that needs no network, and its folder: every row that was asked, baselines, codebook, "
        "prompts, sources, and scripts in Python and R that compute every number again."
    )
    if not st.button("Prepare the report", icon=":material/folder_zip:", key="comparison_prepare"):
        return
    with st.spinner("Computing and packing"), tempfile.TemporaryDirectory() as folder:
        written = write_comparison_report(comparison, Path(folder) / "comparison", field=field)
        packed = zip_folder(written)
    st.download_button(
        "Download the report",
        packed,
        "comparison.zip",
        "application/zip",
        on_click="ignore",
        type="primary",
        icon=":material/download:",
        key="comparison_download",
    )


def _pack(run: SimulationRun, *, by_browser: bool) -> Packed:
    figures = None
    note = ""
    try:
        figures = run_charts.figures(run) if by_browser else None
    except UserError as error:
        note = str(error)
    with tempfile.TemporaryDirectory() as folder:
        written = write_report(run, Path(folder) / run.spec.run_id, figures=figures)
        return Packed((written / "report.html").read_bytes(), zip_folder(written), note)
