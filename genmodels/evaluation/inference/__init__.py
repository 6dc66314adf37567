"""What can be known of p(z | x) and p(x) of a trained decoder, whatever its encoder says."""
