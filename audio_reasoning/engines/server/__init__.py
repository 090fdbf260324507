"""One local vLLM server for all who ask: found, started, replaced and stopped."""
