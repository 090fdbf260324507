"""Self-training (ReST): sample, select, check, train, gate; each iteration starts where another ended."""
