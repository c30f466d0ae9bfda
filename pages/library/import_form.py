"""The parts of the import page: choose files, see what was recognized, correct it, import."""

from dataclasses import replace

import streamlit as st

from pages.library import import_tables
from pages.view import state
from pages.view.fields.live import show_job
from pages.view.state import Importing
from pages.view.words import counted, escape, show_error, visible
from socrates_core.corpus.socsci210 import HUB, Request, submit_import
from socrates_core.corpus.store import corpora
from socrates_core.errors import UserError
from socrates_core.importing.build import Preview, preview, trait_examples
from socrates_core.importing.encodings import NAMES
from socrates_core.importing.jobs import submit_own_import, submit_proposals
from socrates_core.importing.mapping import Mapping, load_mapping, parse_mapping, save_mapping
from socrates_core.importing.mapping_tables import mapping_from_tables
from socrates_core.importing.opening import Opened, open_files
from socrates_core.importing.orders import save_order
from socrates_core.importing.propose import find_gaps, local_models, settled, with_proposals
from socrates_core.importing.suggest import (
    ColumnFacts,
    describe_columns,
    find_questions,
    outcome_of,
    unknown_orders,
)
from socrates_core.importing.table import MAX_BYTES, UNSAID, Format, shortened
from socrates_core.importing.uploads import Upload, keep_files, list_uploads, open_upload
from socrates_core.jobs import store

_FILES = (
    "CSV, TSV, Excel (.xlsx), SPSS (.sav, .por), Stata (.dta), SAS (.sas7bdat, .xpt), alone or with a codebook; "
    "or a Qualtrics survey (.qsf) with its responses (.csv)"
)
_PLAIN = st.column_config.TextColumn


def read_upload(upload_id: str) -> Opened:
    """The contents of an upload's files, the first rows of large ones. Shared between sessions, so never change it."""
    upload = open_upload(upload_id)
    kept = load_mapping(upload.mapping_path).format if upload.mapping_path.exists() else UNSAID
    return _read(upload_id, state.parameter("randomisers") or "", kept)


@st.cache_resource(show_spinner="Reading the file …", max_entries=3)
def _read(upload_id: str, randomisers: str, format_: Format) -> Opened:
    upload = open_upload(upload_id)
    chosen = list(filter(None, randomisers.split("|")))
    return open_files(upload.paths, randomisers=chosen, pace=upload.pace, format_=format_)


@st.cache_resource(show_spinner=False, max_entries=6)
def seen(upload_id: str, mapping: str) -> Preview:
    """What the import of an upload with this mapping (YAML) would do. Shared between sessions, so never change it."""
    return preview(read_upload(upload_id).table, parse_mapping(mapping, "The mapping"))


@st.cache_resource(show_spinner=False, max_entries=3)
def _facts(upload_id: str) -> list[ColumnFacts]:
    return describe_columns(read_upload(upload_id).table)


def questions_of(upload_id: str, opened: Opened, mapping: Mapping) -> list[str]:
    """What a person must say, because neither the files nor the mapping does."""
    return list(find_questions(_facts(upload_id), mapping, opened.table))


def choose_files() -> str | None:
    """New files from the person's machine, or an earlier upload. Returns the id of the chosen upload."""
    st.markdown(
        "Bring an experiment of your own. You will see what was recognised and correct it before anything is "
        "imported. The files stay on this machine.",
        width=720,
    )
    files = st.file_uploader(
        _FILES, accept_multiple_files=True, key="import_files", max_upload_size=MAX_BYTES // 1_000_000
    )
    if st.button("Read the files", type="primary", disabled=not files, icon=":material/find_in_page:"):
        return keep_files([(file.name, file) for file in files]).upload_id
    before = list_uploads()
    if before:
        st.markdown("**Uploaded before**")
    for upload in before[:20]:
        names = " and ".join(path.name for path in upload.paths)
        if st.button(
            escape(names), key=f"import_{upload.upload_id}", type="tertiary", icon=":material/draft:"
        ):
            return upload.upload_id
    return None


def show_socsci210() -> None:
    """The fields that start an import of SocSci210 as a job."""
    st.markdown(
        "SocSci210: 2.9 million answers of 400,491 people to 210 experiments (Kolluri et al. 2025). From the hub "
        "about 1.4 GB are downloaded from huggingface.co; nothing is sent there. A folder or a Parquet file in the "
        "same columns does as well.",
        width=720,
    )
    if HUB in corpora():
        st.success("SocSci210 is imported; its studies are in the list of studies.", icon=":material/check:")
    source = st.text_input(
        "From", HUB, key="import_source", help=f"{HUB!r} is the data set on the hub; else a path."
    )
    studies = st.text_input("Only these studies", key="import_studies", placeholder="all, or ids with commas")
    reasoning = st.checkbox("Keep the written reasoning too, for training alone", key="import_reasoning")
    if not st.button("Start the import", type="primary", icon=":material/download:", key="import_start"):
        return
    if not source.strip():
        st.warning(
            f"Fill in the field From: {HUB!r} for the data set on Hugging Face, or the path of a folder or a Parquet "
            "file.",
            icon=":material/edit:",
        )
        return
    chosen = tuple(part.strip() for part in studies.split(",") if part.strip())
    job = submit_import(Request(source.strip(), chosen, reasoning))
    state.go_to(state.PAGES.jobs, job=job.id)


def editing_of(upload: Upload, opened: Opened) -> Importing:
    """The mapping that the tables show: the person's own version, or at first the suggested one."""
    held = state.importing()
    # Streamlit forgets the fields of a page that was left. The tables then start again from the saved mapping.
    drawn = held and state.widget(held.key("title"), None) is not None
    if held is None or held.upload_id != upload.upload_id or not drawn:
        kept = load_mapping(upload.mapping_path) if upload.mapping_path.exists() else opened.suggested
        generation = held.generation + 1 if held else 0
        held = Importing(upload.upload_id, kept, generation)
        state.set_importing(held)
    return held


def edit(editing: Importing, opened: Opened) -> Mapping:
    """The mapping with the person's corrections. Raises UserError if a cell cannot be read."""
    columns = list(map(str, opened.table.frame.columns))
    _choose_format(editing, opened)
    _show_columns(editing, opened)
    st.subheader("Study", anchor=False)
    study = import_tables.study_fields(editing)
    st.subheader("People", anchor=False)
    people = import_tables.people_fields(editing, columns)
    examples = trait_examples(opened.table, editing.mapping)
    demographics = import_tables.demographics_table(editing, columns, examples)
    st.subheader("Conditions", anchor=False)
    _choose_randomisers(editing, opened)
    conditions = import_tables.conditions_table(editing)
    reference = import_tables.reference_field(editing, conditions)
    st.subheader("Outcomes", anchor=False)
    if not editing.mapping.outcomes:
        st.info(
            "No column was recognized as answers. Choose the columns that hold answers under 'More columns with "
            "answers', then select 'Add as outcomes'.",
            icon=":material/help:",
        )
    outcomes = import_tables.outcomes_table(editing, columns)
    more = st.container()
    st.subheader("Inclusion rules", anchor=False)
    keep = import_tables.keep_table(editing, columns)
    fields = {"study": {**study, "reference": reference}, **people, **vars(editing.mapping.format)}
    edited = {"demographics": demographics, "conditions": conditions, "outcomes": outcomes, "keep": keep}
    mapping = mapping_from_tables(fields, edited)
    accepted = settled(mapping, editing.mapping)
    if accepted != mapping:
        _begin_again(editing, accepted)
    with more:
        _ask_order(editing, opened, mapping)
        _more_outcomes(editing, opened, mapping)
    return mapping


def _choose_format(editing: Importing, opened: Opened) -> None:
    """The sheet and the encoding of the file, where a person may know better. Another choice suggests a new mapping."""
    table = opened.table
    named = editing.mapping.format
    with st.container(horizontal=True):
        sheet = encoding = None
        if len(table.sheets) > 1:
            sheet = st.selectbox(
                "Sheet",
                table.sheets,
                index=table.sheets.index(table.sheet),
                key=editing.key("sheet"),
                width=240,
            )
        if table.encoding:
            encodings = list(dict.fromkeys(["", *NAMES, named.encoding]))
            encoding = st.selectbox(
                "Encoding of the texts",
                encodings,
                index=encodings.index(named.encoding),
                key=editing.key("encoding"),
                format_func=lambda name: name or f"as found ({table.encoding})",
                help="Choose another one if letters such as é look wrong.",
                width=240,
            )
    chosen = Format(
        named.encoding if encoding is None else encoding,
        named.sheet if sheet in (None, table.sheet) else str(sheet),
    )
    if chosen != named:
        try:
            suggested = _read(editing.upload_id, state.parameter("randomisers") or "", chosen).suggested
        except UserError as error:
            return show_error(error)
        _begin_again(editing, suggested)


def _choose_randomisers(editing: Importing, opened: Opened) -> None:
    """Which of a survey's randomizers made the conditions. Another choice suggests a new mapping."""
    arms = opened.randomisers
    if len(arms) < 2:
        return
    chosen = st.multiselect(
        "Arms of the randomiser",
        list(arms),
        default=list(opened.taken),
        key=editing.key("randomisers"),
        width=720,
        format_func=lambda key: f"{key}: {arms[key]}",
        max_selections=max(2, len(opened.taken)),
        help="The survey has several. Two that are chosen together are crossed. Another choice suggests conditions "
        "and outcomes again.",
    )
    if chosen and set(chosen) != set(opened.taken):
        try:
            suggested = _read(editing.upload_id, "|".join(chosen), editing.mapping.format).suggested
        except UserError as error:
            return show_error(error)
        state.set_parameters(randomisers="|".join(chosen))
        _begin_again(editing, suggested)


def _ask_order(editing: Importing, opened: Opened, mapping: Mapping) -> None:
    """Asks once for the order of answers in words; it is kept, and their columns become outcomes."""
    orders = unknown_orders(_facts(editing.upload_id), mapping)
    if not orders:
        return
    title = f"{counted(len(orders), 'set')} of answers whose order is not known"
    with st.expander(title, icon=":material/sort:"):
        answers = st.selectbox(
            "Answers",
            list(orders),
            format_func=lambda listed: f"{' / '.join(listed)} ({shortened(orders[listed], 3)})",
            key=editing.key("unordered"),
        )
        chosen = st.multiselect(
            "From the lowest to the highest",
            answers,
            key=editing.key(f"order {answers}"),
            help="Select them one after the other.",
        )
        if st.button("Use this order", disabled=len(chosen) < len(answers), key=editing.key("use order")):
            save_order(chosen)
            new = [
                outcome_of(f, opened.table) for f in _facts(editing.upload_id) if f.name in orders[answers]
            ]
            _begin_again(editing, mapping.model_copy(update={"outcomes": (*mapping.outcomes, *new)}))


def _more_outcomes(editing: Importing, opened: Opened, mapping: Mapping) -> None:
    """Adds columns as outcomes, or starts again from a saved mapping or from the suggestion."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        used = set(mapping.columns())
        free = {facts.name: facts for facts in _facts(editing.upload_id) if facts.name not in used}
        added = st.multiselect("More columns with answers", list(free), key=editing.key("more"), width=420)
        if st.button("Add as outcomes", icon=":material/add:", disabled=not added, key=editing.key("add")):
            names = {outcome.name for outcome in mapping.outcomes}
            new = [outcome_of(free[name], opened.table) for name in added if name not in names]
            _begin_again(editing, mapping.model_copy(update={"outcomes": (*mapping.outcomes, *new)}))
        with st.popover("Use a saved mapping", icon=":material/upload:"):
            file = st.file_uploader("Mapping (YAML)", type=["yaml", "yml"], key=editing.key("yaml"))
            if st.button("Use it", disabled=file is None, key=editing.key("use")) and file is not None:
                text = file.getvalue().decode("utf-8", "replace")
                _begin_again(editing, parse_mapping(text, repr(file.name)))
        _propose(editing, opened, mapping)
        if st.button("Back to the suggestion", type="tertiary", key=editing.key("suggestion")):
            _begin_again(editing, opened.suggested)


def _propose(editing: Importing, opened: Opened, mapping: Mapping) -> None:
    """Lets a local model write what is missing, if the person agrees."""
    gaps = find_gaps(mapping, opened.table.labels)
    if not gaps:
        return
    with st.popover("Let a model propose texts", icon=":material/edit_note:"):
        models = local_models()
        if not models:
            st.caption("There is no model on this machine yet: run `make setup`.")
            return
        st.caption(
            f"{counted(len(gaps), 'text')} missing. A model can only guess what people read: check every word."
        )
        model = st.selectbox("Model", list(models), format_func=models.__getitem__, key=editing.key("model"))
        agreed = st.checkbox(
            "It may read the names and labels of columns and conditions, and the answer scales. It runs on this "
            "machine; nothing is sent anywhere and no person's answers are shown to it.",
            key=editing.key("agreed"),
        )
        if st.button("Propose", disabled=not agreed, key=editing.key("propose")):
            upload = open_upload(editing.upload_id)
            save_mapping(mapping, upload.mapping_path)
            _wait_for(submit_proposals(upload, model))


def start_import(upload: Upload, mapping: Mapping) -> None:
    """Queues the import of a large upload as a job."""
    _wait_for(submit_own_import(upload, mapping))


def _wait_for(job: store.Job) -> None:
    state.set_parameters(job=job.id)
    st.rerun()


def follow_job(editing: Importing) -> bool:
    """Shows the job that works on this upload and uses its result. Returns whether a job is active."""
    job_id = state.parameter("job")
    job = store.read_job(job_id) if job_id else None
    if job is None or job.args.get("upload_id") != editing.upload_id:
        return False
    if job.state != "done":
        show_job(job)
        return job.active
    state.set_parameters(job=None)
    result = store.read_result(job)
    if job.kind == "import":
        state.go_to(state.PAGES.study, corpus=result["corpus"], study=result["study_id"])
    n = len(result["outcomes"]) + len(result["conditions"])
    st.toast(f"{counted(n, 'text')} proposed; read and accept or rewrite each.", icon=":material/edit_note:")
    mapping = load_mapping(open_upload(editing.upload_id).mapping_path)
    _begin_again(editing, with_proposals(mapping, result))
    return False


def _begin_again(editing: Importing, mapping: Mapping) -> None:
    save_mapping(mapping, open_upload(editing.upload_id).mapping_path)
    state.set_importing(replace(editing, mapping=mapping, generation=editing.generation + 1))
    st.rerun()


def _show_columns(editing: Importing, opened: Opened) -> None:
    """The columns of the file, one row each."""
    used = set(editing.mapping.columns())
    rows = [
        {
            "column": visible(facts.name),
            "label": visible(facts.label),
            "n": facts.n,
            "missing": facts.n_missing,
            "distinct": facts.n_distinct,
            "values": visible(", ".join(facts.values[:8]))[:200],
            "about": "used" if facts.name in used else visible(opened.left_out.get(facts.name, "")),
        }
        for facts in _facts(editing.upload_id)
    ]
    title = f"The {counted(len(rows), 'column')} of the file"
    with st.expander(title, icon=":material/view_column:", expanded=not opened.suggested.outcomes):
        st.dataframe(
            rows,
            hide_index=True,
            alt="Columns of the file",
            column_config={
                "column": _PLAIN("Column"),
                "label": _PLAIN("Label", width="large"),
                "n": "Cells",
                "missing": "Missing",
                "distinct": "Different",
                "values": _PLAIN("Most frequent", width="large"),
                "about": "Recognised",
            },
        )
