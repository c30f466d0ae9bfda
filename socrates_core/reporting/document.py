"""What a report states. Reports of runs and of comparisons are both a `Document`; folder.py writes every one alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from socrates_core.reporting.numbers import Numbers
from socrates_core.reporting.sources import Source
from socrates_core.reporting.tables import DataTable

Content = str | bytes | Path | Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Document:
    """What a report states.

    `kind` names the templates of the page and of README.md, `sections` is what the page's sections show, drawings
    included. `scripts` compute `numbers` again from `tables`. `prompts` are what models read, one a line of
    prompts.jsonl. `sources` and `citations` say what to cite. `stored` has the digests of the work that is reported, by
    name, `command` repeats that work, and `environment` is what computed it. `files` are further files of the folder by
    path: a text, bytes, the path of a file to copy, or a mapping to write as JSON.
    """

    kind: Literal["run", "comparison"]
    title: str
    sections: Mapping[str, Any]
    numbers: Numbers
    tables: Sequence[DataTable]
    scripts: Sequence[str]
    prompts: Sequence[Mapping[str, Any]]
    sources: Sequence[Source]
    citations: Mapping[str, str]
    stored: Mapping[str, str]
    command: str
    environment: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Content] = field(default_factory=dict)
