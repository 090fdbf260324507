"""The MMAR challenge's zip, built and validated."""
