"""LoRA adapters over a model that is already in memory: loaded once each, switched in no time."""

from pathlib import Path
from typing import Any

from socrates_core.errors import UserError

Adapter = tuple[Path, str]  # a folder, and the revision that it had when it was opened


class Adapters:
    """The adapters of one model; a folder that was trained anew is another one.

    Without one in use the model is itself.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._tuned: Any = None  # peft's view of the same model, once there is an adapter
        self._names: dict[Adapter, str] = {}
        self._used: Adapter | None = None

    def use(self, adapter: Adapter | None) -> None:
        """Puts `adapter` in use, or none. Raises UserError where it does not fit the model."""
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
        from peft import PeftModel
        from safetensors import SafetensorError

        name = f"adapter{len(self._names)}"
        try:
            if self._tuned is None:
                self._tuned = PeftModel.from_pretrained(self._model, adapter[0], adapter_name=name)
            else:
                self._tuned.load_adapter(adapter[0], adapter_name=name)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise UserError(
                f"The adapter in {str(adapter[0])!r} is damaged or does not fit its base model "
                f"({str(error).splitlines()[0]}). Give the folder that the training wrote, "
                "and the base model that it names."
            ) from error
        self._tuned.eval()
        self._names[adapter] = name
