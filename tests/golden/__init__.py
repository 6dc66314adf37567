"""Every model on fixed weights and a fixed input against a few independent lines that follow its paper."""
