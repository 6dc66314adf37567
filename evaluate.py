"""Score a finished run: `python evaluate.py run=<folder> split=test importance_samples=16`."""

from genmodels.doors.evaluate import main

if __name__ == "__main__":
    main()
