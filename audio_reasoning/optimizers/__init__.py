"""A prompt from a prompt: an optimiser searches for a better system text, with the audio in the loop."""
