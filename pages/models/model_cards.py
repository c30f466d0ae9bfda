"""The parts of the page of models: the table, one model's card, its uses, and the bin."""

from shlex import quote
from typing import Any

import streamlit as st

from pages.view import state
from pages.view.fields.table import choose_row
from pages.view.words import counted, escape, show_text, visible
from socrates_core.evaluations.results import list_evaluations
from socrates_core.finetuning import library
from socrates_core.finetuning.exporting import MEASURES, zipped
from socrates_core.finetuning.library import LibraryModel, Trained
from socrates_core.finetuning.model_jobs import submit_merge
from socrates_core.keeping import kinds
from socrates_core.verdicts.verdict import verdict_of

KINDS = {
    "model": "whole model",
    "adapter": "adapter",
    "checkpoint": "checkpoint",
    "hub": "on the hub",
}
MOST_DOWNLOAD = 500 * 10**6  # bytes that a browser's download may hold in memory


def show_table(models: list[LibraryModel]) -> None:
    """A table of all models. A click on a row opens its card."""
    name = choose_row(
        [_row(model) for model in models],
        [model.name for model in models],
        key="models_table",
        height=min(620, 38 + 35 * len(models)),
        alt="Models",
        placeholder="–",
        column_config={
            "model": st.column_config.TextColumn("Model", width="medium"),
            "verdict": st.column_config.TextColumn("Verdict", width="large"),
            "kind": "Kind",
            "base": st.column_config.TextColumn("Made from", width="small"),
            "saw": "Trained on",
            "size": st.column_config.NumberColumn("Size", format="bytes"),
        },
    )
    st.caption(
        "Choose a row to open the card. A verdict rests on studies that the model has not seen; how a finetune did on "
        "the rows that it kept back is on its card."
    )
    if name is not None:
        state.go_to(state.PAGES.models, model=name)


def _row(model: LibraryModel) -> dict[str, Any]:
    usable = model.card.installed or model.kind == "hub"
    return {
        "model": visible(model.card.title),
        "verdict": verdict_of(model.name).sentence,
        "kind": KINDS[model.kind] if usable else "cannot be used",
        "base": visible(model.base),
        "saw": library.saw_briefly(library.seen_or_unknown(model.name)),
        "size": model.card.size_bytes or None,
    }


def show_bin() -> None:
    """The deleted models, each with buttons to restore it or to delete it for good."""
    deleted = kinds.deleted_models()
    if not deleted:
        return
    with st.expander(f"Bin ({len(deleted)})", icon=":material/delete:", expanded=len(deleted) < 4):
        for name, record in deleted.items():
            label, back, gone = st.columns([4, 2, 2], vertical_alignment="center")
            label.text(visible(name))
            if back.button("Bring back", key=f"restore_{name}", width="stretch"):
                kinds.restore(record.kind, name)
                state.go_to(state.PAGES.models, model=name)
            with gone.popover("Delete for good", width="stretch"):
                st.markdown("This frees its space on the disk; nothing brings it back.")
                if st.button(escape(f"Delete {name} for good"), key=f"discard_{name}"):
                    record.discard()
                    st.rerun()


def show_uses(model: LibraryModel) -> None:
    """What a person can do with a model: use, evaluate, compare, merge, export, delete."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if model.card.installed:
            st.page_link(
                state.PAGES.compare,
                label="Evaluate",
                icon=":material/add:",
                query_params={"new": "1", "model": model.name},
            )
            done = [row["evaluation_id"] for row in list_evaluations() if row["model"] == model.name]
            if done:
                st.page_link(
                    state.PAGES.compare,
                    label=f"Evidence ({len(done)})",
                    icon=":material/compare_arrows:",
                    query_params={"evaluations": ",".join(done)},
                )
        if model.trained and model.trained.id:
            st.page_link(
                state.PAGES.finetunes,
                label="Training history",
                icon=":material/show_chart:",
                query_params={"trainings": model.trained.id},
            )
        if model.kind == "adapter" and model.card.installed:
            _merge_button(model)
        if model.kind in ("model", "adapter") and model.card.path:
            if model.card.installed:
                _export_button(model)
            _delete_button(model)
    if model.kind == "checkpoint":
        st.caption("The best so far of a finetune that has not ended. Stopping its job makes it a model.")


def _merge_button(model: LibraryModel) -> None:
    with st.popover("Merge", icon=":material/merge:"):
        st.markdown(
            escape(
                f"Adds the adapter to {model.base} for good, as a new model of the base's size that needs neither. "
                "Its answers are the adapter's, within the rounding of its number format."
            )
        )
        output = st.text_input("Name of the new model", f"{model.name}-merged", key="merge_name")
        if st.button("Merge", type="primary", key="merge_start"):
            state.go_to(state.PAGES.jobs, job=submit_merge(model.name, output).id)


def _export_button(model: LibraryModel) -> None:
    with st.popover("Export", icon=":material/download:"):
        st.markdown(
            "Safetensors, settings, tokenizer, its card to read, and checksums (`sha256sum -c SHA256SUMS`)."
        )
        if model.kind == "adapter":
            st.markdown(
                escape(f"An adapter needs {model.base} wherever it is used; merge it first to avoid that.")
            )
        if model.card.size_bytes <= MOST_DOWNLOAD:
            st.download_button(
                "Download as zip",
                lambda: zipped(model.name),
                f"{model.name}.zip",
                "application/zip",
                key="model_zip",
                on_click="ignore",
            )
        else:
            st.markdown(
                "Too large for a download; a command writes it to a folder, or to a file that ends in .zip:"
            )
            st.code(visible(f"python -m socrates_core models export {quote(model.name)} PATH"), language=None)
        st.markdown("A command shows what would leave this machine for the Hugging Face hub, and asks first:")
        st.code(visible(f"python -m socrates_core models push {quote(model.name)} ORG/NAME"), language=None)


def _delete_button(model: LibraryModel) -> None:
    with st.popover("Delete", icon=":material/delete:"):
        others = library.needed_by(model.name)
        jobs = library.jobs_using(model.name)
        if others:
            st.warning(
                escape(f"Without it these adapters cannot answer: {', '.join(others)}. Merge them first."),
                icon=":material/warning:",
            )
        if jobs:
            st.markdown(
                escape(f"In use by {', '.join(job.title for job in jobs)}. Wait for it, or cancel it first.")
            )
        st.markdown("The bin below the list of models has it then, and brings it back.")
        if st.button("Move to the bin", disabled=bool(jobs), key="model_delete"):
            kinds.delete(kinds.kind_of_model(model.name), model.name)
            state.set_flash(f"“{model.name}” is in the bin; bring it back below.")
            state.go_to(state.PAGES.models)


def show_lineage(model: LibraryModel, known: set[str]) -> None:
    """The chain from the first base to the model, with a link to each model in the list."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for name in model.lineage[:-1]:
            if name in known:
                st.page_link(state.PAGES.models, label=escape(name), query_params={"model": name})
            else:
                st.text(visible(name))
            st.text("→")
        st.markdown(f"**{escape(model.card.title)}**")


def show_saw(model: LibraryModel) -> None:
    """What the model was trained on: a sentence for each training, and a list of all studies."""
    seen = library.seen_or_unknown(model.name)
    show_text(seen.note or "Its card does not say it in a sentence.")
    for sentence in library.saw_counts(seen):
        st.caption(escape(sentence))
    table = library.saw_table(seen)
    if len(table):
        with st.expander(counted(table["study_id"].nunique(), "study", "studies"), icon=":material/list:"):
            st.dataframe(
                table.map(visible),
                hide_index=True,
                key="saw_table",
                alt="What it was trained on",
                column_config={
                    "training": "Training",
                    "corpus": "Corpus",
                    "split": "Split",
                    "study_id": "Study",
                    "conditions": "Conditions",
                    "outcomes": "Outcomes",
                    "participants": "Participants",
                },
            )


def show_metrics(trained: Trained) -> None:
    """The measures on the rows that were kept back, before and after training."""
    if not trained.validation:
        st.caption("No rows were kept back to measure it on.")
        return
    st.dataframe(
        [
            {
                "measure": title,
                "before": trained.measured(key, base=True),
                "after": trained.measured(key),
                "uniform": trained.measured("w_uniform") if key == "w_stated" else None,
            }
            for key, title in MEASURES.items()
        ],
        hide_index=True,
        key="model_metrics",
        alt="Before and after",
        placeholder="–",
        column_config={
            "measure": st.column_config.TextColumn("Measure", width="medium"),
            "before": st.column_config.NumberColumn("Base", format="%.3f"),
            "after": st.column_config.NumberColumn("This model", format="%.3f"),
            "uniform": st.column_config.NumberColumn("Uniform guess", format="%.3f"),
        },
    )
    sizes = [
        f"{trained.measured(key) or 0:,.0f} {noun}"
        for key, noun in (("n_rows", "answers"), ("n_cells", "cells"), ("n_studies", "studies"))
    ]
    st.caption(
        f"On {', '.join(sizes)} kept back from training, after step {trained.step or 0:,}. The checkpoint was chosen "
        "by W on these very rows, so expect it to do a little worse on others: evaluate it on what its split holds out."
    )


def show_training(trained: Trained) -> None:
    """Settings, data, and environment from the card."""
    facts = trained.model_dump(exclude={"spec", "validation", "base_validation", "libraries", "doubts"})
    settings, environment = st.columns(2)
    with settings:
        st.caption("Settings")
        _show_pairs(trained.spec, "model_settings")
    with environment:
        st.caption("Data and environment")
        _show_pairs({**facts, **trained.libraries}, "model_environment")


def _show_pairs(facts: dict[str, Any], key: str) -> None:
    rows = [
        {"name": visible(name), "value": visible(str(value))}
        for name, value in facts.items()
        if value not in (None, "", [])
    ]
    st.dataframe(
        rows,
        hide_index=True,
        key=key,
        column_config={"name": "Name", "value": st.column_config.TextColumn("Value", width="large")},
    )
