"""Finetuning: one short script a method, each its own interpreter, over the same few parts.

sft, reasoning, dpo, distribution     python -m training.sft CONFIG.yaml
loop                                  from the YAML to the published model
trainer, verdict                      the steps, on trl's trainer, and what is decided after each
data, batches, objectives             what a step reads, how, and what is minimized
model, validation, checkpoint         what is trained, how well it does, and how it goes on after a kill
"""
