"""Judging reasoning traces by rubrics."""
