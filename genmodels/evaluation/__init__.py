"""Figures about a trained model: likelihoods with their standard errors, pictures."""
