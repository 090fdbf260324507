"""Models: the tiny thinker's shape, the audio-and-text processor, servable checkpoints."""
