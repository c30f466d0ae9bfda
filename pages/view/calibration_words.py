"""What a model's effects are worth, in words under their chart: how the calibration held, or why there is none."""

import pandas as pd
import streamlit as st

from pages.view import state
from pages.view.words import escape
from socrates_core.analysis.held_out import HeldOut
from socrates_core.calibrations import ModelCalibration

WAYS = {
    "calibrated": "calibrated",
    "raw": "raw, as predicted",
    "constant": "raw times one constant",
    "zero": "no effect at all",
}


def show_calibration(calibration: ModelCalibration | str, *, key: str = "") -> None:
    """The calibration in sentences and a table; or the reason why there is none, and how to get one."""
    if isinstance(calibration, str):
        st.info(escape(f"No calibrated effects. {calibration}"), icon=":material/straighten:")
        st.page_link(
            state.PAGES.compare,
            label="Evaluate this model on other studies",
            icon=":material/add:",
            query_params={"new": "1"},
        )
        return
    for sentence in calibration.sentences:
        st.caption(escape(sentence))
    with st.expander("How each way of predicting did on studies left out"):
        st.dataframe(held_out_table(calibration.held_out), hide_index=True, key=f"held_out{key}")
        st.caption(
            "In shares of the scale, lower is better but for the first three: the share of people's effects that the "
            "50%, 80% and 90% intervals hold should be 0.5, 0.8 and 0.9. The score is the interval score, which "
            "punishes wide intervals and missed effects alike."
        )


def held_out_table(held_out: HeldOut) -> pd.DataFrame:
    """A row for each way of predicting."""
    return pd.DataFrame(
        {
            "Effects": WAYS[row.method],
            **{f"in {level}%": share for level, share in zip((50, 80, 90), row.coverage, strict=True)},
            "RMSE": row.rmse,
            "90% width": row.width[-1],
            "90% score": row.score[-1],
        }
        for row in held_out.rows
    ).round(3)
