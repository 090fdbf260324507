"""MMAR-mini: multiple-choice questions about synthesised audio, right answers known by construction."""
