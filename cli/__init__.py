"""The command line for people: `audio-reasoning …`, one module a command. DVC's stages are in stages/."""
