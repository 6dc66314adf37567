"""One page about many runs: what came of them, their curves, samples and differences."""
