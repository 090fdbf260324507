"""Running questions through a model, and finding the answer in what it wrote."""
