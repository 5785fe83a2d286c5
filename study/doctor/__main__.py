"""`python -m study.doctor`: the checks of the doctor, and each of them as a process of its own."""

import sys

from study.doctor.examine import main

if __name__ == "__main__":
    sys.exit(main())
