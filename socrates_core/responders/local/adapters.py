"""LoRA adapters over a model that is already in memory: loaded once each, switched in no time."""

from pathlib import Path
from typing import Any

from socrates_core.errors import UserError


class Adapters:
    """The adapters of one model, by their folders. Without one in use the model is itself."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._tuned: Any = None  # peft's view of the same model, once there is an adapter
        self._names: dict[Path, str] = {}
        self._used: Path | None = None

    def use(self, adapter: Path | None) -> None:
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

    def _load(self, adapter: Path) -> None:
        from peft import PeftModel

        name = f"adapter{len(self._names)}"
        try:
            if self._tuned is None:
                self._tuned = PeftModel.from_pretrained(self._model, adapter, adapter_name=name)
            else:
                self._tuned.load_adapter(adapter, adapter_name=name)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise UserError(
                f"The adapter in {str(adapter)!r} does not fit its base model ({str(error).splitlines()[0]}). "
                "Give the folder that the training wrote, and the base model that it names."
            ) from error
        self._tuned.eval()
        self._names[adapter] = name
