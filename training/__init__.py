"""Finetuning: one short script a method, each its own interpreter, over the same few parts.

sft, reasoning, dpo, distribution     python -m training.sft CONFIG.yaml
objectives                            what is minimised, as functions of log-probabilities
batches, model, validation            what a step reads, what is trained, how well it does
loop, checkpoint                      the steps, and how they continue after a kill
"""
