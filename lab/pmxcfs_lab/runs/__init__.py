"""Recorded runs: the folder one leaves, and what is shown of it."""
