"""Which of Lightning's precisions a density can be trained in."""

_HALVES = {"bf16-true": "bfloat16, with 8", "16-true": "float16, with 11"}  # and their binary digits


def precision_error(precision: str | int | None) -> str | None:
    """A sentence if training goes wrong in that precision, whatever the model; else None."""
    if precision in _HALVES:
        return (
            f"trainer.precision={precision} keeps weights, data and log-likelihoods in {_HALVES[precision]} binary "
            "digits: small steps are lost and bits/dim are rounded; use trainer.precision=bf16-mixed, which keeps "
            "these in float32, or 32-true"
        )
    if precision in ("16-mixed", "16", 16):
        return (
            f"trainer.precision={precision} scales the loss, which hides what the NaN guard and gradient clipping "
            "measure: use trainer.precision=bf16-mixed or 32-true"
        )
    return None
