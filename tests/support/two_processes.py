"""Trains every finetune of the home in two processes that share its steps: what `tests/test_training_processes.py` runs.

python -m accelerate.commands.launch --multi_gpu --num_processes 2 -m tests.support.two_processes ID ...
"""

import sys
import traceback

import torch
from accelerate import PartialState

from socrates_core.finetuning.publish import publish
from socrates_core.finetuning.spec import load_training, training_path
from tests.support.finetunes import LOSSES
from training.loop import open_trainer

if __name__ == "__main__":
    torch.set_num_threads(1)
    PartialState(cpu=True)
    for training_id in sys.argv[1:]:
        try:
            assert open_trainer(training_id, LOSSES[load_training(training_id).method]).finish()
            if PartialState().is_main_process:
                publish(training_id)
        except Exception:  # the other finetunes are tried as well; the test finds no history
            (training_path(training_id) / f"error-{PartialState().process_index}").write_text(
                traceback.format_exc()
            )
        PartialState().wait_for_everyone()
