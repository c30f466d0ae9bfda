"""Merges an adapter into its base: one model folder of safetensors that needs neither peft nor the base.

python -m training.merge NAME OUTPUT_NAME
"""

import argparse
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from filelock import FileLock

from socrates_core.errors import UserError
from socrates_core.files import write_json
from socrates_core.finetuning.library import lineage
from socrates_core.finetuning.publish import TOKENIZER
from socrates_core.finetuning.spec import RESERVED
from socrates_core.models.local.adapters import attach
from socrates_core.models.local.load import UNUSABLE, first_line, open_weights
from socrates_core.models.model_folder import (
    ModelFolder,
    check_folder,
    installed_names,
    open_folder,
    revision,
)
from socrates_core.models.seen import seen_of
from socrates_core.settings import folder

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def merge(name: str, output: str) -> Path:
    """Makes the whole model `output` from the adapter `name` and its base, in the base's number format.

    Returns its folder. Raises UserError if `name` is not an adapter or does not fit its base, or if `output` is taken
    or not a valid name.
    """
    source = open_folder(name)
    if source.adapter is None:
        raise UserError(
            f"The model {name!r} is not an adapter, so there is nothing to merge. Export it as it is."
        )
    if not NAME.fullmatch(output) or output in RESERVED:
        raise UserError(
            f"A model cannot be called {output!r}. Use up to 64 of a-z, 0-9, '.', '_' and '-', a letter or digit "
            "first, and no reserved name."
        )
    models = folder("models")
    with FileLock(models / f".{output}.lock"):
        # Under the lock, since another process may have made it a moment ago.
        if output in installed_names():
            raise UserError(f"There is already a model called {output!r}. Choose another name.")
        aside = models / f".{output}.part"
        shutil.rmtree(aside, ignore_errors=True)
        try:
            _write_weights(source, aside)
            write_json(aside / "card.json", _card(source, name, output))
            os.replace(aside, models / output)
        except OSError as error:
            raise UserError(
                f"{output!r} could not be written ({error.strerror or error}). Free some space."
            ) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return models / output


def _write_weights(source: ModelFolder, target: Path) -> None:
    check_folder(source.base)
    model = open_weights(source.base, dtype="auto")
    try:
        whole = attach(model, source.own).merge_and_unload(safe_merge=True)
    except UNUSABLE as error:  # also for weights that are not finite
        raise UserError(
            f"The adapter in {str(source.adapter)!r} does not fit its base model ({first_line(error)})."
        ) from error
    whole.save_pretrained(target)
    for file in TOKENIZER:
        if (source.chat / file).exists():
            shutil.copyfile(source.chat / file, target / file)


def _card(source: ModelFolder, name: str, output: str) -> dict[str, Any]:
    """The whole model's card: the adapter's, with its base's licence and exposure, and what was merged."""
    base = ModelFolder(source.base).card
    kept = ({"licence": base["licence"]} if "licence" in base else {}) | source.card
    return {
        **kept,
        "title": f"{source.card.get('title') or name}, merged",
        "base": name,
        "template": source.template,
        "saw": seen_of(name).as_dict(),
        "lineage": [*lineage(name), output],
        "merged": {"adapter": name, "revision": revision(source)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Merges an adapter into its base as a whole model folder.")
    parser.add_argument("name")
    parser.add_argument("output")
    arguments = parser.parse_args()
    try:
        print(merge(arguments.name, arguments.output))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
