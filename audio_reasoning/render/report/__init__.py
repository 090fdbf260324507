"""The report: one page to look at, and to listen to, that opens from the file system."""
