"""Finetunes on a rationale and then the answer; rationales were written by a model that was shown the answer.

python -m training.reasoning CONFIG.yaml
"""

from training.loop import finetune
from training.sft import loss

if __name__ == "__main__":
    finetune("reasoning", loss)
