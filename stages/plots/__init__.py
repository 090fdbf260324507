"""DVC's plots as pictures, and sweeps of one parameter."""
