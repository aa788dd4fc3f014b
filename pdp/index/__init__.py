"""Rows to a structure whose look-up cost does not depend on how many there are."""
