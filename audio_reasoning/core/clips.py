"""Where a clip comes from, as MMAR's ids and addresses tell it."""

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


# YouTube's ids have eleven characters, Bilibili's begin with BV.
_VIDEO = re.compile(
    r"(?:youtu\.be/|youtube(?:-nocookie)?\.com/(?:watch\?(?:[^#]*&)?v=|shorts/|embed/|live/|v/))([\w-]{11})(?![\w-])"
    r"|bilibili\.com/video/(BV\w{10})(?!\w)"
)


def video_of(url: str) -> str | None:
    """The video that an address leads to, whatever else it says; the address itself elsewhere, None for a blank one.

    >>> video_of("https://www.youtube.com/watch?t=3&v=qx8hrhBZJ98"), video_of("https://youtu.be/qx8hrhBZJ98?si=1")
    ('qx8hrhBZJ98', 'qx8hrhBZJ98')
    """
    found = _VIDEO.search(url)
    return found[1] or found[2] if found else url.strip() or None
