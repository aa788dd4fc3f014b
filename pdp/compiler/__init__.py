"""Parsed files to rows: names resolved, types checked, conditions compiled."""
