"""Which models answer, and how: the model picker of drafts, evaluations, and panel experiments. It loads no model."""

from dataclasses import dataclass
from typing import get_args

import streamlit as st

from pages.view import cached, state
from pages.view.fields import consent
from pages.view.words import escape
from socrates_core.asking.request import ModelRequest
from socrates_core.models import is_served
from socrates_core.models.served.server import Service
from socrates_core.projects.benchmark_questions import known_drifts
from socrates_core.records import Decoding, Precision

PRECISION_HELP = "auto: bf16 where the processor has it, 4-bit NF4 where the model does not fit otherwise."
DECODING_HELP = "exact: the model's own probabilities; paper: temperature 0.6 and top-p 0.9, as published."


@dataclass(frozen=True)
class ChosenModels:
    """The names of the models, and the server of those that a server runs; None without such a model.

    There are no names while the fields of the server are not complete.
    """

    names: list[str]
    service: Service | None


def choose_models(key: str) -> ChosenModels:
    """The models by name, with the fields of their server if they need one. `key` is the page's."""
    titles = cached.model_titles()
    wished = state.wished_model() or "starter"
    names = st.multiselect(
        "Models",
        list(titles),
        default=[wished] if wished in titles else None,
        format_func=lambda name: titles.get(name, name),
        accept_new_options=True,
        key=f"{key}_models",
        help="Type a folder, a hub id such as org/name, or api:MODEL of a server and press Enter to use another model.",
    )
    if not any(is_served(name) for name in names):
        return ChosenModels(names, None)
    service = consent.service_fields()
    return ChosenModels(names if service else [], service)


def model_requests(key: str) -> list[ModelRequest]:
    """The chosen models, each with the precision and the decoding from the expert part."""
    models = choose_models(key)
    with st.expander("Precision and decoding"):
        precision = st.segmented_control(
            "Precision",
            get_args(Precision),
            default="auto",
            required=True,
            key=f"{key}_precision",
            help=PRECISION_HELP,
        )
        decoding = st.segmented_control(
            "Decoding",
            get_args(Decoding),
            default="exact",
            required=True,
            key=f"{key}_decoding",
            help=DECODING_HELP,
        )
        for row in known_drifts(models.names[0]) if models.names else []:
            st.caption(
                escape(
                    f"{row['model']} in {row['precision']} against fp32 on {row['n_questions']} real questions here: "
                    f"total variation {row['mean_tv']:.3f} on average, {row['max_tv']:.3f} at most."
                )
            )
    return [ModelRequest(name, precision, decoding, service=models.service) for name in models.names]
