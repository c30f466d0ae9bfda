"""What a model's predictions are worth: one sentence, from evaluations on studies that it has not seen."""
