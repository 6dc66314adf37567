"""Write a run's model as a folder for others: `python export.py run=<folder> out=<folder>`."""

from genmodels.doors.export import main

if __name__ == "__main__":
    main()
