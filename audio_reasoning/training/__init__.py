"""Training: one loop, batches, losses, checkpoints."""
