"""Where a clip comes from, as MMAR's ids tell it."""

import re

# An id ends in the clip's start and end in its video, once or more: <video>_00-01-32_00-02-02 or <video>_1-29_1-59.
_TIMESTAMPS = re.compile(r"(_\d+(-\d\d)+)+$")


def source_video(row_id: str) -> str | None:
    """The video that a clip was cut from: the id without its timestamps; None if it has none.

    >>> source_video("qx8hrhBZJ98_00-01-32_00-02-02")
    'qx8hrhBZJ98'
    """
    video, timestamps = _TIMESTAMPS.subn("", row_id)
    return video if timestamps else None
