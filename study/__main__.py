"""`python -m study`."""

import sys

if __name__ == "__main__":
    if sys.argv[1:2] == ["doctor"]:  # before anything is imported that may be what is broken
        from study import doctor

        sys.exit(doctor.main(sys.argv[2:]))
    from study.cli import main

    main()
