"""Results as people see them: tables, Markdown, plots, the report, the submission."""
