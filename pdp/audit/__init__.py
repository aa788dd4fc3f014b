"""The decision log: what was asked and answered, kept for whoever has to account for it."""
