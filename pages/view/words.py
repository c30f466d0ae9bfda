"""Words on a page: study text, which is shown as text and never run as Markdown, HTML, math or an icon; and numbers."""

import difflib
import math
import re

import streamlit as st

from socrates_core.errors import UserError
from socrates_core.models import context_limit, count_tokens
from socrates_core.records import Prompt

_HIDDEN = {
    **{code: f"⟨U+{code:04X}⟩" for code in (0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF)},
    **{code: f"⟨U+{code:04X}⟩" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F)},
}
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def visible(text: str) -> str:
    """The text with zero-width and direction-changing characters spelled out."""
    return text.translate(_HIDDEN)


def escape(text: str) -> str:
    """The text for a label or Markdown, with every special character escaped."""
    escaped = _PUNCTUATION.sub(r"\\\1", visible(text))
    return re.sub(r"\r?\n", "  \n", escaped)  # Markdown breaks a line only after two spaces


def show_text(text: str) -> None:
    """Study text in full, at a readable width."""
    st.text(visible(text), width=720)


def show_difference(text: str, reference: str) -> None:
    """Study text with the words that `reference` does not have marked."""
    ours, theirs = re.split(r"(\s+)", text), re.split(r"(\s+)", reference)
    # autojunk would not match words that are frequent in a long text, and so mark words that are the same.
    matcher = difflib.SequenceMatcher(None, theirs, ours, autojunk=False)
    parts = []
    for tag, _, _, start, end in matcher.get_opcodes():
        words = "".join(ours[start:end])
        if tag in ("replace", "insert") and words.strip():
            for line in re.split(r"(\n+)", words):
                parts.append(f":orange-background[{escape(line)}]" if line.strip() else escape(line))
        else:
            parts.append(escape(words))
    st.markdown("".join(parts), width=720)


def show_prompt(prompt: Prompt, model: str) -> None:
    """The exact messages and their length for `model`."""
    st.caption("System")
    st.code(visible(prompt.system), language=None, wrap_lines=True)
    st.caption("User")
    st.code(visible(prompt.user), language=None, wrap_lines=True)
    try:
        length, limit = count_tokens(model, prompt), context_limit(model)
    except UserError:
        return
    most = f" of at most {limit:,}" if limit else ""
    st.caption(f"{length:,} tokens{most} for {visible(model)}, chat template included.")


def show_error(error: UserError) -> None:
    st.error(escape(str(error)), icon=":material/error:")


def shorten(text: str, width: int = 60) -> str:
    """One line of at most `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def figure_text(value: float | None, digits: int = 2) -> str:
    """A number for a sentence, or an en dash if it is unknown."""
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def percent_text(share: float | None, digits: int = 0) -> str:
    """A share as a percentage for a sentence, or an en dash if it is unknown."""
    return "–" if share is None or math.isnan(share) else f"{share:.{digits}%}"


def interval_text(low: float | None, high: float | None, digits: int = 2) -> str:
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ""
    return f"[{low:.{digits}f}, {high:.{digits}f}]"


def counted(n: int, noun: str, many: str = "") -> str:
    """The number with its noun: "1 condition", "2 conditions". `many` is the plural if it is not formed with an s."""
    return f"{n:,} {noun if n == 1 else many or noun + 's'}"
