"""Self-training (ReST): what it selects of the samples, and how it trains on that."""
