"""Scales both ask and read: they render and parse instructions, and read answers. Pure text, no model, no file."""

from socrates_core.scales.answers import Reading, read_answer
from socrates_core.scales.checks import check_scale
from socrates_core.scales.instructions import parse_scale
from socrates_core.scales.rendering import render_instruction

__all__ = ["Reading", "check_scale", "parse_scale", "read_answer", "render_instruction"]
