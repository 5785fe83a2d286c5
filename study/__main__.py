"""`python -m study`."""

import contextlib
import os
import sys


def _trains_here(arguments: list[str]) -> bool:
    """Whether these are the arguments of a study on this machine's own Ray."""
    is_elsewhere = "RAY_ADDRESS" in os.environ or any(word.startswith("--address") for word in arguments)
    return arguments[:1] == ["run"] and not is_elsewhere


if __name__ == "__main__":
    if sys.argv[1:2] == ["doctor"]:  # before anything is imported that may be what is broken
        from study.doctor import examine as doctor

        sys.exit(doctor.main(sys.argv[2:]))
    from study.cluster.template import worker_template

    with worker_template() if _trains_here(sys.argv[1:]) else contextlib.nullcontext():
        from study.cli.app import main  # torch, which the template imports beside it

        main()
