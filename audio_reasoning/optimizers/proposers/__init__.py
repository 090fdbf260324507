"""What writes new instructions: a bank of fragments, or a model."""
