"""The methods of our own by name: what selects, and what trains. `conf/` has a file for each one's recipe."""

SELECTIONS = {
    "rest": "audio_reasoning.algorithms.rest.select:select",
    "sft": "audio_reasoning.algorithms.sft.select:select",
}
FITTINGS = {
    "rest": "audio_reasoning.algorithms.rest.fit:fit",
    "sft": "audio_reasoning.algorithms.rest.fit:fit",  # traces are traces, whoever wrote them
}
OF_OTHERS = "rest"  # whose recipe and selection go with a training that is named as module:object
