"""Draw from a finished run: `python sample.py run=<folder> n=64 temperature=0.7`."""

from genmodels.doors.sample import main

if __name__ == "__main__":
    main()
