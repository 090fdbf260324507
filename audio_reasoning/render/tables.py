"""Figures as people read them."""

DASH = "–"  # stands for a figure that there is none of
MINI_NOTE = "mini figures are evidence about mechanics, not about any 30B model"
TRIAL_NOTE = "a trial's figures, of a hundred questions, show that everything runs, and nothing else"


def profile_notes(profile: str) -> list[str]:
    """What to keep in mind of figures under a profile.

    >>> profile_notes("a100"), len(profile_notes("mini_trial"))
    ([], 2)
    """
    mini = profile == "mini" or profile.startswith("mini_")
    return [*([MINI_NOTE] if mini else []), *([TRIAL_NOTE] if profile.endswith("_trial") else [])]


def percent(fraction: float | None) -> str:
    """A fraction of one in percent, or a dash.

    >>> percent(0.5514), percent(None)
    ('55.1', '–')
    """
    return DASH if fraction is None else f"{100 * fraction:.1f}"


def points(fraction: float) -> str:
    """A difference of fractions in percentage points, with its sign.

    >>> points(0.0125), points(-0.0001)
    ('+1.2', '-0.0')
    """
    return f"{100 * fraction:+.1f}"


def p_value(value: float) -> str:
    """A p value with four decimals.

    >>> p_value(0.0181), p_value(0.000001)
    ('0.0181', '<0.0001')
    """
    return f"{value:.4f}" if value >= 0.0001 else "<0.0001"


def percent_range(low: float | None, high: float | None) -> str:
    """An interval of a fraction, in percent, or a dash.

    >>> percent_range(0.515, 0.584), percent_range(None, None)
    ('51.5–58.4', '–')
    """
    return DASH if low is None or high is None else f"{percent(low)}–{percent(high)}"


def points_range(low: float, high: float) -> str:
    """An interval of a difference, in percentage points.

    >>> points_range(-0.02, 0.031)
    '-2.0 to +3.1'
    """
    return f"{points(low)} to {points(high)}"
