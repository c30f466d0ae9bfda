"""What an import would do: what was recognized, the scales, what is left out, and three prompts."""

import shlex
from collections.abc import Sequence

import streamlit as st

from pages.view.words import counted, escape, visible
from socrates_core.importing.build import Preview
from socrates_core.importing.mapping import Mapping, render_mapping
from socrates_core.importing.opening import Opened
from socrates_core.importing.uploads import FIRST_ROWS, Upload

_PLAIN = st.column_config.TextColumn


def show_recognised(opened: Opened, mapping: Mapping, seen: Preview, questions: Sequence[str]) -> None:
    """Counts, the file's warnings, the open questions, and what still stops the import."""
    frame = opened.table.frame
    n_outcomes = len(mapping.outcomes)
    counts = [
        counted(len(frame), "row"),
        counted(frame.shape[1], "column"),
        counted(len(mapping.demographics), "demographic"),
        counted(len(mapping.conditions), "condition"),
        counted(n_outcomes, "outcome"),
    ]
    if seen.frames:
        counts.append(
            f"would become {counted(len(seen.frames['participants']), 'person', 'people')} with "
            f"{counted(len(seen.frames['responses']), 'answer')}"
        )
    st.caption(" · ".join(counts))
    if len(frame) == FIRST_ROWS:
        st.info(
            f"The file is large: what is shown here is of its first {FIRST_ROWS:,} rows. The import reads them "
            "all, as a job that goes on when this window is closed.",
            icon=":material/hourglass_top:",
        )
    if opened.warnings:
        told_of = f"{counted(len(opened.warnings), 'thing')} to know about the file"
        with st.expander(told_of, icon=":material/warning:", expanded=len(opened.warnings) <= 3):
            st.markdown("\n".join(f"- {escape(warning)}" for warning in opened.warnings))
    for question in questions:
        st.warning(escape(question), icon=":material/help:")
    if seen.problems:
        listed = "\n".join(f"- {escape(problem)}" for problem in seen.problems[:12])
        more = f"\n- and {len(seen.problems) - 12} more" if len(seen.problems) > 12 else ""
        st.error(f"Before it can be imported:\n{listed}{more}", icon=":material/error:")


def show_preview(seen: Preview) -> None:
    """The scales as they were read, remarks, what is left out and why, and three prompts.

    Texts that are still missing hide only the prompts.
    """
    if not seen.outcomes:
        return
    st.subheader("What would be imported", anchor=False)
    st.dataframe(
        [
            {
                "outcome": visible(outcome.name),
                "instruction": visible(outcome.instruction),
                "kind": outcome.scale.kind,
                "values": f"{outcome.scale.low} to {outcome.scale.high}" if outcome.scale.values else "open",
                "n": outcome.n,
                "off": outcome.n_off_scale,
            }
            for outcome in seen.outcomes
        ],
        hide_index=True,
        alt="Outcomes with their scales as they were read",
        column_config={
            "outcome": "Outcome",
            "instruction": _PLAIN("Answer instruction", width="large"),
            "kind": "Scale",
            "values": "From, to",
            "n": st.column_config.NumberColumn("Answers", format="localized"),
            "off": st.column_config.NumberColumn("Off the scale", format="localized"),
        },
    )
    for remark in seen.remarks:
        st.info(escape(remark), icon=":material/info:")
    st.markdown("**Left out**")
    if seen.dropped:
        rows = [{"n": n, "what": visible(reason)} for reason, n in seen.dropped]
        st.dataframe(
            rows,
            hide_index=True,
            column_config={"n": "Number", "what": _PLAIN("What and why", width="large")},
        )
    else:
        st.caption("Nothing.")
    if not seen.prompts:
        return
    st.markdown("**Prompts as a model would get them**")
    for column, prompt in zip(st.columns(len(seen.prompts)), seen.prompts, strict=True):
        column.code(visible(prompt.user), language=None, wrap_lines=True)


def show_replay(upload: Upload, mapping: Mapping) -> None:
    """The mapping as a file, and the command that repeats the import with it."""
    st.subheader("Repeat this import", anchor=False)
    name = f"{mapping.study.study_id}.yaml"
    st.download_button(
        "Mapping (YAML)",
        render_mapping(mapping),
        name,
        "application/yaml",
        icon=":material/download:",
        on_click="ignore",
    )
    files = [path.name for path in upload.paths]
    command = shlex.join(["python", "-m", "socrates_core", "import", *files, "--mapping", name])
    st.code(command, language="bash", wrap_lines=True)
