"""Conditions: the same questions with something taken away or moved."""
