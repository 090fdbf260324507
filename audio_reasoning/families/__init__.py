"""Model families: all that a family decides."""
