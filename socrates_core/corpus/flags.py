"""Flags: what a reader should know about a study's answers, found in the answers themselves.

The sentences are stored among a study's notes. Other words would change the digest of a corpus that is made again, and
splits of it would no longer fit.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

FLAGS = (
    "off_scale",
    "unread_scale",
    "scale_differs",
    "shared_text",
    "battery",
    "repeats",
    "ranking",
    "own_texts",
    "placeholder",
)
# "stimulus v8", "${e://Field/name}", "[INSERT NAME]", "{{party}}", "<first name>", "XXXX", "lorem ipsum"
_PLACEHOLDER = (
    r"\b(?:stimulus|condition|vignette|treatment|text)\s(?:v|version\s|text\s)?\d{1,3}\b|\$\{[^{}]{1,80}\}"
    r"|\[(?:insert|pipe|name|piped|your)\b[^\[\]]{0,60}\]|\{\{?\w{1,40}\}?\}"
    r"|<(?:insert|name|first name|piped)[^<>]{0,40}>"
    r"|\bX{3,}\b|\blorem ipsum\b|\bTBD\b"
)
_PLACE = ["participant", "condition_num", "task_num"]


def find_flags(stimuli: pd.DataFrame, responses: pd.DataFrame) -> dict[str, str]:
    """The flags of a study, each with a sentence that says how much of the study it concerns.

    `stimuli` has the columns of the table of that name; `responses` has participant, stimulus_id and value.
    """
    given = responses[["participant", "stimulus_id", "value"]].merge(
        stimuli[["stimulus_id", "condition_num", "task_num"]], on="stimulus_id"
    )
    sentences = {
        "off_scale": _off_scale(given),
        "unread_scale": _unread(stimuli, given),
        "scale_differs": _scale_differs(stimuli),
        "shared_text": _shared_text(stimuli),
        **_several_answers(given),
        "own_texts": _own_texts(given),
        "placeholder": _placeholder(stimuli),
    }
    return {flag: sentences[flag] for flag in FLAGS if sentences.get(flag)}


def find_design(stimuli: pd.DataFrame, responses: pd.DataFrame) -> str:
    """ "within" if four people in five answered in every condition, "between" if at most one in twenty answered in more
    than one, or else "mixed"."""
    number = stimuli.set_index("stimulus_id")["condition_num"]
    seen = pd.DataFrame({"who": responses["participant"], "condition": responses["stimulus_id"].map(number)})
    n_seen = seen.drop_duplicates().groupby("who").size()
    n_conditions = number.nunique()
    if (n_seen > 1).mean() <= 0.05:
        return "between"
    return "within" if (n_seen == n_conditions).mean() >= 0.8 else "mixed"


def _off_scale(given: pd.DataFrame) -> str:
    n = int(given["value"].isna().sum())
    if not n:
        return ""
    return (
        f"{n:,} of {len(given):,} answers ({n / len(given):.1%}) are not on the scale that was asked, refusals "
        "among them. They are kept in the data and left out of everything that is shown."
    )


def _unread(stimuli: pd.DataFrame, given: pd.DataFrame) -> str:
    unread = stimuli.loc[stimuli["scale"].isna(), "stimulus_id"]
    n = int(given["stimulus_id"].isin(unread).sum())
    return (
        f"The scale of {len(unread):,} texts ({n:,} answers) could not be read; they count as open numbers."
        if n
        else ""
    )


def _scale_differs(stimuli: pd.DataFrame) -> str:
    n = stimuli.groupby("task_num")["scale"].nunique(dropna=False)
    several = n[n > 1]
    return (
        f"In {_outcomes(len(several), len(n))} the scale is not the same in every text."
        if len(several)
        else ""
    )


def _shared_text(stimuli: pd.DataFrame) -> str:
    n_tasks = stimuli["task_num"].nunique()
    conditions = stimuli.groupby(["task_num", "stimulus"])["condition_num"].nunique()
    shared = conditions[conditions > 1].index.get_level_values("task_num").unique()
    if not len(shared):
        return ""
    return (
        f"In {_outcomes(len(shared), n_tasks)} people of several conditions have the same text: there the treatment "
        "is invisible, to a model as well."
    )


def _several_answers(given: pd.DataFrame) -> dict[str, str]:
    """Batteries, repeats and rankings: people with several answers to one outcome in one condition."""
    if not given.duplicated(_PLACE).any():
        return {}
    n_tasks = given["task_num"].nunique()
    repeated = int(given.duplicated(["participant", "stimulus_id"]).sum())
    ordered = given.sort_values([*_PLACE, "value"])
    first = ~ordered.duplicated(_PLACE)
    in_turn = np.where(first, ordered["value"].isin([0, 1]), ordered["value"].diff() == 1)
    sets = ordered.assign(in_turn=in_turn).groupby(_PLACE)["in_turn"].agg(["size", "all"]).reset_index()
    several = sets.loc[sets["size"] > 1, "task_num"].nunique()
    ranked = sets[sets["size"] > 2].groupby("task_num")["all"].mean()
    rankings = int((ranked >= 0.95).sum())
    flags = {
        "battery": f"In {_outcomes(several, n_tasks)} one person answered several questions under one number."
    }
    if repeated:
        flags["repeats"] = f"{repeated:,} answers repeat a question that the same person had answered before."
    if rankings:
        flags["ranking"] = (
            f"In {_outcomes(rankings, n_tasks)} the answers are ranks: each person gave each once."
        )
    return flags


def _own_texts(given: pd.DataFrame) -> str:
    cells = given.groupby(["condition_num", "task_num"])["stimulus_id"].agg(["size", "nunique"])
    personal = cells[(cells["nunique"] > 20) & (cells["size"] < 5 * cells["nunique"])]
    return (
        f"Texts differ from person to person: {int(personal['nunique'].sum()):,} texts for "
        f"{int(personal['size'].sum()):,} answers in {len(personal)} of {len(cells)} cells."
        if len(personal)
        else ""
    )


def _placeholder(stimuli: pd.DataFrame) -> str:
    matches = pc.match_substring_regex(pa.array(stimuli["stimulus"]), _PLACEHOLDER, ignore_case=True)
    n = pc.sum(matches).as_py()
    return f"{n:,} of {len(stimuli):,} texts hold a placeholder where people saw something else." if n else ""


def _outcomes(n: int, total: int) -> str:
    return f"{n} of {total} outcomes" if total > 1 else "its one outcome"
