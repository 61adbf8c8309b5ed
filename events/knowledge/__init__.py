"""Knowledge of items and sessions: what a shop knows beside its events, read, checked, and fitted for a pass."""
