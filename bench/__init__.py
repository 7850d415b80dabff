"""Figures, always beside the reference's in the same run."""
