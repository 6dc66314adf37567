"""Images by the chain rule, one file per paper."""
