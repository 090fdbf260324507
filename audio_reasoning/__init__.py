"""The library: questions, conditions, prompts, families, engines, training, algorithms, metrics, rendering."""
