"""What is said of a trained model: figures, samples, completions, walks between examples."""

from genmodels.evaluation.metrics import Figure, Metric, Trained, mean_with_error
