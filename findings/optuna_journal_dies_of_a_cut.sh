#!/usr/bin/env bash
# Optuna's journal storage and a file whose last entry was cut off, as a kill or a full disk leaves it.
#
# Package: optuna 5.0.0. A study of three trials in a journal file; the file loses its last 20 bytes; three more trials.
#
# Expected: the entry that was cut off is lost, the study goes on; or an error that names the file and the line.
# Seen: the journal opens without a word, with the third trial still running. The next trial ends in an AttributeError
#       that names no file, and is lost: its first entry is written behind the cut one, in the same line. One more trial
#       writes a line below it; from then on the whole study cannot be read (JSONDecodeError). A text file that is no
#       journal is taken for an empty storage.
# So:   check a journal before you go on with it: every line is JSON, and the last one ends. Cut off what does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'optuna==5.0.0'
cat >"$folder/program.py" <<'PYTHON'
import sys
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

optuna.logging.set_verbosity(optuna.logging.ERROR)
file, other = Path(sys.argv[1], "journal.log"), Path(sys.argv[1], "notes.txt")


def storage(path=file):
    return JournalStorage(JournalFileBackend(str(path)))


def states():
    return [trial.state.name for trial in optuna.load_study(study_name="study", storage=storage()).trials]


def objective(trial):
    return trial.suggest_float("x", 0, 1)


def outcome(action):
    try:
        return action()
    except Exception as error:
        return type(error).__name__


def one_more():
    optuna.load_study(study_name="study", storage=storage()).optimize(objective, n_trials=1)


optuna.create_study(study_name="study", storage=storage()).optimize(objective, n_trials=3)
whole = states()
file.write_bytes(file.read_bytes()[:-20])
cut, first, after_first = states(), outcome(one_more), outcome(states)
second, after_second = outcome(one_more), outcome(states)
other.write_text("milk\n")
print("before the cut:      ", whole)
print("after the cut:       ", cut)
print("one more trial:      ", first)
print("the study after it:  ", after_first)
print("another trial:       ", second)
print("the study after that:", after_second)
print("studies in a file that is no journal:", optuna.get_all_study_names(storage(other)))
assert cut == after_first == ["COMPLETE", "COMPLETE", "RUNNING"], "the cut is treated otherwise now"
assert (first, after_second) == ("AttributeError", "JSONDecodeError"), "trials after a cut are treated otherwise now"
assert optuna.get_all_study_names(storage(other)) == [], "a file that is no journal is refused now"
PYTHON
"$folder/venv/bin/python" -W ignore "$folder/program.py" "$folder"
# Output seen:
# before the cut:       ['COMPLETE', 'COMPLETE', 'COMPLETE']
# after the cut:        ['COMPLETE', 'COMPLETE', 'RUNNING']
# one more trial:       AttributeError
# the study after it:   ['COMPLETE', 'COMPLETE', 'RUNNING']
# another trial:        JSONDecodeError
# the study after that: JSONDecodeError
# studies in a file that is no journal: []
