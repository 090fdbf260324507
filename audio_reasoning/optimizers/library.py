"""DSPy as this project uses it: nothing is fetched, kept in a cache of its own, or reported when it is imported."""

import logging
import os

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else a table of prices is fetched
import dspy as dspy

logging.getLogger("dspy").setLevel(logging.CRITICAL)  # what it would say is in the result
