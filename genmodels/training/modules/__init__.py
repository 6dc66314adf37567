"""Lightning modules: how a model is trained."""
