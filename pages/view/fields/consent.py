"""A served model on a page: where it is and how it is asked, what that costs, and consent before anything is sent."""

import os
from collections.abc import Callable, Sequence
from typing import get_args

import streamlit as st

from pages.view.text import escape, show_error
from socrates_core.asking.consent import Sending
from socrates_core.asking.request import ModelRequest
from socrates_core.errors import UserError
from socrates_core.models.served.elicit import VERBALISED
from socrates_core.models.served.prices import find_price
from socrates_core.models.served.server import (
    N_SAMPLES,
    OFFICIAL,
    OFFICIAL_KEY,
    Elicitation,
    Service,
    served_model,
)


def service_fields() -> Service | None:
    """Fields for the server of the chosen models; None, with the reason in red, where they cannot be used."""
    with st.container(border=True):
        url = st.text_input(
            "Server",
            os.environ.get("OPENAI_BASE_URL", OFFICIAL),
            key="service_url",
            help="Any OpenAI-compatible server: its base address, up to /v1. On localhost nothing leaves this machine.",
        )
        variable = st.text_input(
            "Environment variable with the key",
            key="service_key",
            placeholder=OFFICIAL_KEY,
            help=f"Its name, not the key. Empty: {OFFICIAL_KEY} for the OpenAI API, no key for other servers.",
        )
        ways, draws = st.columns([3, 1])
        way = ways.segmented_control(
            "How it is asked",
            get_args(Elicitation),
            default="auto",
            required=True,
            key="service_way",
            help="logprobs: the first token's probabilities; samples: drawn answers; verbalised: the model tells a "
            "distribution; auto: logprobs where the scale allows it, else samples.",
        )
        n_samples = draws.number_input("Draws a question", 1, 1000, N_SAMPLES, key="service_samples")
        if way == "verbalised":
            st.caption(escape(f"Said after each question: {VERBALISED.strip()}"))
        try:
            service = Service(url, variable.strip(), way, n_samples)
            service.read_key()
        except UserError as error:
            show_error(error)
            return None
    return service


def limit_field() -> float | None:
    """The most dollars that each run of a served model may cost; None where nobody set a limit."""
    return st.number_input(
        "Spending limit in US dollars (optional)",
        min_value=0.01,
        value=None,
        key="service_limit",
        help="A run stops before it could cost more; a new run with a higher limit takes up its answers.",
    )


def cost_text(model: ModelRequest, usd: float | None) -> str:
    """About what a served model's run costs, and from which price; empty for a model that costs nothing."""
    if model.service is None or model.service.is_loopback:
        return ""
    price = find_price(model.service, served_model(model.name))
    if price is None or usd is None:
        return " Its price is not known; write it into prices.yaml to see the cost and to set a limit."
    return f" About ${usd:,.2f}, at a token for every 4 characters (prices: {price.source})."


@st.dialog("Send this to another machine?", width="medium")
def ask_consent(sendings: Sequence[Sending], agree: Callable[[], None]) -> None:
    """Lists what would be sent and where; `agree` runs when the person says so, for this run alone."""
    for sending in sendings:
        st.markdown(escape(sending.sentence))
    st.caption("This holds for this run alone. What that server keeps is between you and whoever runs it.")
    yes, no = st.columns(2)
    if yes.button("Send and run", type="primary", icon=":material/send:", width="stretch", key="consent_yes"):
        try:
            agree()
        except UserError as error:
            show_error(error)
    if no.button("Do not send", width="stretch", key="consent_no"):
        st.rerun()
