"""The synthetic shop: a log that behaves like OTTO's, drawn from a seed, which knows the truth it was drawn from."""
