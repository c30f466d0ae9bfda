"""Exports a model: its safetensors with a readable card and checksums, as a folder, a zip file, or on the hub."""

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import yaml

from socrates_core.errors import UserError
from socrates_core.files import file_digest, read_json, replacing
from socrates_core.finetuning.library import (
    LibraryModel,
    is_adapter,
    look_up,
    saw_counts,
    seen_or_unknown,
    short_name,
)
from socrates_core.models.model_folder import CONTENT, HUB_ID, ModelFolder, find_model
from socrates_core.verdicts.verdict import verdict_of

FILES = (
    *CONTENT,
    "*.safetensors.index.json",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
    "LICENSE*",
    "card.json",
)
MEASURES = {
    "w_stated": "W, share of the stated scale",
    "w_observed": "W, share of the observed range",
    "accuracy": "Accuracy of one draw a person, %",
    "log_score": "Log score",
    "effect_r": "r of effects",
    "valid_mass": "Valid mass",
}
Contents = Mapping[str, Path | bytes]


def contents(name: str) -> Contents:
    """What is exported of a model, by file name: files of its folder, and contents written for the export.

    The latter are the README.md, the checksums, and an adapter's settings with the name of its base instead of a folder
    on this machine. Raises UserError if the model is not on this machine, or a file of its folder is a link out of it.
    """
    model = look_up(name)
    if model.kind == "hub" or not model.card.path:
        raise UserError(f"The model {name!r} is not in SOCRATES_HOME, so there is nothing to export.")
    path = find_model(name).resolve()
    files: dict[str, Path | bytes] = {
        file.name: _inside(file, path)
        for pattern in FILES
        for file in sorted(path.glob(pattern))
        if file.is_file()
    }
    if is_adapter(path):
        settings = read_json(path / "adapter_config.json")
        base = short_name(str(settings["base_model_name_or_path"]))
        settings["base_model_name_or_path"] = Path(base).name if Path(base).is_dir() else base
        files["adapter_config.json"] = json.dumps(settings, indent=2).encode()
    files["README.md"] = render_card(model).encode()
    sums = [f"{_digest(content)}  {name}\n" for name, content in sorted(files.items())]
    return files | {"SHA256SUMS": "".join(sums).encode()}


def _inside(file: Path, folder: Path) -> Path:
    if not file.resolve().is_relative_to(folder):
        raise UserError(
            f"{file.name!r} in {str(folder)!r} is a link to a file elsewhere, which is not followed. "
            "Put the file itself there."
        )
    return file


def _digest(content: Path | bytes) -> str:
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else file_digest(content)


def size(files: Contents) -> int:
    """The bytes of all files together."""
    return sum(
        len(content) if isinstance(content, bytes) else content.stat().st_size for content in files.values()
    )


def export_model(name: str, target: Path) -> Contents:
    """Writes a model to the new folder `target`, or to a zip file if it ends in .zip; returns what was written.

    Raises UserError if the target exists or cannot be written.
    """
    if target.exists():
        raise UserError(f"{str(target)!r} already exists. Choose another place.")
    files = contents(name)
    if target.suffix == ".zip":
        with replacing(target) as aside:
            _write_zip(files, aside)
        return files
    aside = target.with_name(f".{target.name}.part")
    try:
        aside.mkdir(parents=True)
        for file, content in files.items():
            if isinstance(content, bytes):
                (aside / file).write_bytes(content)
            else:
                shutil.copyfile(content, aside / file)
        aside.rename(target)
    except OSError as error:
        raise UserError(
            f"{str(target)!r} could not be written ({error.strerror or error}). "
            "Free some space, or choose another place."
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return files


def zipped(name: str) -> bytes:
    """A small model as a zip file, for a download."""
    buffer = io.BytesIO()
    _write_zip(contents(name), buffer)
    return buffer.getvalue()


def _write_zip(files: Contents, target: Path | IO[bytes]) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as opened:  # weights hardly compress
        for file, content in files.items():
            if isinstance(content, bytes):
                opened.writestr(file, content)
            else:
                opened.write(content, file)


def push(files: Contents, hub_id: str) -> str:
    """Uploads the files of `contents` to the hub in one commit; returns its address. A new repository is private.

    Raises UserError if the hub refuses it or cannot be reached.
    """
    from httpx2 import HTTPError
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    adds = [CommitOperationAdd(file, content) for file, content in files.items()]
    api = HfApi()
    try:
        api.create_repo(hub_id, private=True, exist_ok=True)
        return str(api.create_commit(hub_id, adds, commit_message="Model with its card").commit_url)
    except (HTTPError, HfHubHTTPError, HFValidationError, OSError) as error:
        cause = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"The hub did not take {hub_id!r} ({cause}). Check the connection, the name, and that a token with the "
            "right to write is set (HF_TOKEN, or: hf auth login)."
        ) from error


def render_card(model: LibraryModel) -> str:
    """The model's card as Markdown with the head that the hub reads."""
    seen = seen_or_unknown(model.name)
    trained = model.trained
    verdict = verdict_of(model.name)
    head: dict[str, Any] = {
        "library_name": "peft" if model.kind in ("adapter", "checkpoint") else "transformers"
    }
    bases = [ancestor for ancestor in model.lineage[:-1] if HUB_ID.fullmatch(ancestor)]
    licence = ModelFolder(find_model(model.name)).card.get("licence")
    head |= {"base_model": bases[-1]} if bases else {}
    # The hub knows licenses by names in lower case.
    head |= {"license": licence.lower()} if isinstance(licence, str) else {}
    parts = [
        f"---\n{yaml.safe_dump(head)}---\n",
        f"# {_line(model.card.title)}\n",
        f"**{_line(verdict.sentence)}** {_line(verdict.detail)}".rstrip() + "\n",
        "Predicts answers to survey experiments. For screening, not a replacement for people.\n",
        f"Made from: {_line(' -> '.join(model.lineage))}\n",
        "## What it saw\n",
        "\n".join(map(_line, [seen.note, *saw_counts(seen)]))
        + "\n\nEvery study, with conditions, outcomes and "
        "participants where they are split, is listed in `card.json` under `saw`.\n",
    ]
    if trained is not None:
        parts += ["## Training\n", _block(trained.spec), *_metrics(model)]
        environment = trained.model_dump(
            include={"data_digest", "n_examples", "step", "leaks_accepted", "libraries", "seconds"}
        )
        parts += ["## Environment and data\n", _block(environment)]
    return "\n".join(parts)


def _metrics(model: LibraryModel) -> list[str]:
    if model.trained is None or not model.trained.validation:
        return []
    rows = [
        f"| {title} | {_number(model.trained.measured(key, base=True))} | {_number(model.trained.measured(key))} |\n"
        for key, title in MEASURES.items()
    ]
    uniform = _number(model.trained.measured("w_uniform"))
    return [
        "## Validation during training\n\nOn rows kept back from training, by which the checkpoint was chosen: expect "
        f"it to do a little worse on others.\n\n| | base | this model |\n|---|---|---|\n{''.join(rows)}"
        f"\nW of a uniform guess on the same cells, stated scale: {uniform}\n"
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _block(value: object) -> str:
    """A value as YAML in an indented block, which keeps its texts from being read as Markdown."""
    lines = yaml.safe_dump(value, sort_keys=False, allow_unicode=True).splitlines()
    return "\n".join(f"    {line}" for line in lines) + "\n"


def _line(text: str) -> str:
    return " ".join(text.split())
