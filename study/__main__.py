"""`python -m study`."""

import sys

if __name__ == "__main__":
    if sys.argv[1:2] == ["doctor"]:  # before anything is imported that may be what is broken
        from study.doctor import examine as doctor

        sys.exit(doctor.main(sys.argv[2:]))
    from study.cli.app import main

    main()
