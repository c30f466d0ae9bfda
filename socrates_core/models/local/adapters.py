"""LoRA adapters over a model that is already in memory: each is loaded once, and switching takes no time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from socrates_core.errors import UserError
from socrates_core.models.adapter_settings import check_adapter, layers_of
from socrates_core.models.local.load import UNUSABLE, first_line

Adapter = tuple[Path, str]  # a folder, and its revision when it was opened


class Adapters:
    """The adapters of one model. A folder whose content changed counts as another adapter.

    While none is in use, the model answers as its base. Adapters answer in the number format in which the base
    computes. In fp32, as peft keeps them, every layer would convert its input to fp32 and multiply there, which on a
    card is estimated to make answers 1.4 times slower (*not run*).
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._weights = [*model.parameters(), *model.buffers()]  # only the base's: there is no adapter yet
        self.dtype: torch.dtype = model.dtype
        self._tuned: Any = None  # peft's view of the same model, once there is an adapter
        self._names: dict[Adapter, str] = {}
        self._used: Adapter | None = None

    def use(self, adapter: Adapter | None) -> None:
        """Puts `adapter`, or none, into use. Raises UserError if it does not fit the model."""
        if adapter == self._used:
            return
        if adapter is None:
            self._tuned.base_model.disable_adapter_layers()
        else:
            if adapter not in self._names:
                self._load(adapter)
            self._tuned.base_model.enable_adapter_layers()
            self._tuned.set_adapter(self._names[adapter], inference_mode=True)
        self._used = adapter

    def _load(self, adapter: Adapter) -> None:
        name = f"adapter{len(self._names)}"
        before = _state(self._weights)
        self._tuned = attach(self._tuned or self._model, adapter[0], name)
        self._tuned.eval()
        convert_adapter(self._tuned, name, self.dtype)
        if _state(self._weights) != before:
            raise UserError(
                f"The adapter in {str(adapter[0])!r} changed its base model's own weights while it was opened, so it "
                "is not used, and the model was closed. Merge it into its base model and give the merged folder."
            )
        self._names[adapter] = name


def _state(weights: Sequence[Any]) -> list[tuple[int, int]]:
    """The address of each weight and how often it was written in place; a change of the weight changes one of them."""
    return [(weight.data_ptr(), weight._version) for weight in weights]


def convert_adapter(tuned: Any, name: str, dtype: torch.dtype) -> None:
    """Converts the adapter of that name in peft's view `tuned`."""
    for key, weight in tuned.named_parameters():
        if "lora_" in key and name in key.split("."):
            weight.data = weight.data.to(dtype)


def attach(model: Any, path: Path, name: str = "default", *, trainable: bool = False) -> Any:
    """peft's view of `model`, with the adapter in `path` under that name; `model` may be such a view already.

    Raises UserError if the adapter cannot be used or does not fit.
    """
    from peft import LoraConfig, PeftModel

    settings = check_adapter(path)
    try:
        config = LoraConfig.from_pretrained(str(path))
        config.inference_mode = not trainable
        config.init_lora_weights = True  # the plain start: its weights come from the file anyway
        config.auto_mapping = None  # names a class to import, which is not needed here
        expression = _has_expression(settings)
        if expression:  # peft would run a stranger's expression over the name of every layer
            config.target_modules, config.exclude_modules = set(layers_of(path)), None
            config.layers_to_transform = config.layers_pattern = None
        if not isinstance(model, PeftModel):
            return PeftModel.from_pretrained(
                model, path, adapter_name=name, config=config, is_trainable=trainable
            )
        if expression:
            model.add_adapter(name, config)
        model.load_adapter(path, adapter_name=name, is_trainable=trainable)
    except UNUSABLE as error:
        raise UserError(
            f"The adapter in {str(path)!r} is damaged or does not fit its base model ({first_line(error)}). "
            "Give the folder that the training wrote, and the base model that it names."
        ) from error
    return model


def _has_expression(settings: dict[str, Any]) -> bool:
    """Whether the layers are named by a regular expression instead of one by one."""
    layers = settings.get("target_modules"), settings.get("exclude_modules")
    return any(isinstance(names, str) and names != "all-linear" for names in layers)
