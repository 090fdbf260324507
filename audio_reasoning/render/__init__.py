"""Figures as people read them: one table, written for a terminal, as Markdown and as HTML."""
