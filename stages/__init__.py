"""Measure and improve how audio language models reason: one package an area, one module a DVC stage."""
