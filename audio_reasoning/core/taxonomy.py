"""MMAR's taxonomy: sixteen sub-categories in four layers (Ma et al., "MMAR", arXiv 2505.13032)."""

from collections.abc import Mapping

LAYERS: Mapping[str, tuple[str, ...]] = {
    "Signal Layer": ("Acoustic Quality Analysis", "Anomaly Detection", "Audio Difference Analysis"),
    "Perception Layer": (
        "Correlation Analysis",
        "Counting and Statistics",
        "Environmental Perception and Reasoning",
        "Music Theory",
        "Spatial Analysis",
        "Temporal Analysis",
    ),
    "Semantic Layer": ("Content Analysis", "Emotion and Intention", "Speaker Analysis"),
    "Cultural Layer": (
        "Aesthetic Evaluation",
        "Culture of Speaker",
        "Imagination",
        "Professional Knowledge and Reasoning",
    ),
}
LAYER_OF: Mapping[str, str] = {sub_category: layer for layer, names in LAYERS.items() for sub_category in names}
