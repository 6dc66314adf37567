"""Lay finished runs side by side: `python compare.py runs=[<folder>,<folder>]`."""

from genmodels.doors.compare import main

if __name__ == "__main__":
    main()
