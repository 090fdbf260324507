"""How far a budget of answers goes."""

FULL_EVAL_STEPS = 5  # of MIPROv2's minibatch trials, after which the best candidate is asked all validation questions


def mipro_answers(trials: int, validation: int, minibatch: int) -> int:
    """The answers that MIPROv2 takes for so many trials: the start's, each trial's, and those of full evaluations.

    >>> mipro_answers(trials=6, validation=100, minibatch=20)
    420
    """
    if minibatch >= validation:
        return validation * (trials + 1)
    full = -(-trials // FULL_EVAL_STEPS)
    return validation + trials * minibatch + full * validation


def mipro_trials(answers: int, validation: int, minibatch: int) -> int:
    """The most trials that take no more than `answers`.

    >>> mipro_trials(420, validation=100, minibatch=20), mipro_trials(419, validation=100, minibatch=20)
    (6, 5)
    """
    trials = 0
    while mipro_answers(trials + 1, validation, minibatch) <= answers:
        trials += 1
    return trials


def least_budget(optimizer: str, asked_first: int, validation: int, minibatch: int) -> int:
    """The least budget with which a search can try anything.

    `asked_first` answers are given before it; GEPA asks a minibatch under the old and the new instruction.
    """
    if optimizer == "mipro":
        return asked_first + mipro_answers(1, validation, minibatch)
    return asked_first + validation + 2 * minibatch + validation
