"""The base model of `mini`, trained from scratch so that everything after it is real."""
