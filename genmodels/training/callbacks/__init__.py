"""What happens beside the optimisation of a run."""
