"""Serving: a local vLLM that is started, shared and stopped as needed, and a client that loses nothing."""
