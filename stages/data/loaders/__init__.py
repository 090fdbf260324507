"""One module a kind of source: `load(source, folder)` writes FLAC files into `folder` and yields rows."""
