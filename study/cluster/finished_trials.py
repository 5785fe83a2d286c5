"""What Tune keeps of trials that have ended, and how to have it forget them: its memory would grow with the study.
Knows no Ray."""

from __future__ import annotations

from typing import Any

NAMES = ("_trials", "_trial_metadata", "_stopped_trials", "_trials_to_cache", "_live_trials")
"""Where a controller holds trials: all but the last for as long as the experiment lasts."""


def forget_finished(controller: Any) -> None:
    """Drops the trials that ended well from a Tune controller: about 60 kB each, and a share of the file that Tune
    writes at the end.

    Nothing asks for them again: their results are in the records. The names are private to Tune's controller; where
    one of them is gone nothing is dropped, and a study only takes more memory. Trials that failed stay, for Tune to
    speak of.
    """
    if not all(hasattr(controller, name) for name in NAMES):
        return
    ended = controller._stopped_trials - controller._live_trials
    controller._stopped_trials.difference_update(ended)
    controller._trials_to_cache.difference_update(ended)
    for trial in ended:
        controller._trial_metadata.pop(trial.trial_id, None)
    controller._trials[:] = [trial for trial in controller._trials if trial not in ended]
