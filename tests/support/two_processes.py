"""Trains finetunes in processes that share their steps, for tests/test_training_processes.py.

python -m accelerate.commands.launch --multi_gpu --num_processes 2 -m tests.support.two_processes ID ...
"""

import sys

import torch
from accelerate import PartialState

from socrates_core.finetuning.publish import publish
from socrates_core.finetuning.spec import load_training
from tests.support.finetunes import LOSSES
from training.loop import open_trainer

if __name__ == "__main__":
    torch.set_num_threads(1)
    PartialState(cpu=True)
    for training_id in sys.argv[1:]:
        assert open_trainer(training_id, LOSSES[load_training(training_id).method]).finish()
        if PartialState().is_main_process:
            publish(training_id)
        PartialState().wait_for_everyone()
