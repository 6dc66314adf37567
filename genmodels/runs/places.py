"""Where runs lie: <output_dir>/<name>/<date_time>."""

from pathlib import Path

from genmodels.errors import UserError, printable

_LONGEST = 200  # bytes; disks take 255, and sweeps put more behind it


def folder_of_runs(output_dir: str, name: str, key: str = "name") -> Path:
    """The folder of all runs of a name, which is one below `output_dir` whatever the name; `~` is the user's home.

    Args:
        key: that has said the name.

    Raises:
        UserError: the name is none of a folder, or leads elsewhere.
    """
    folder = str(name)
    is_one = folder.strip(". ") and not set(folder) & set("/\\\0") and folder.isprintable()
    if not is_one or len(folder.encode()) > _LONGEST:
        raise UserError(
            f"{key}={printable(folder[:60])} has to be the name of one folder, of at most {_LONGEST} bytes and without "
            "/ or \\: output_dir or hydra.run.dir say where runs lie"
        )
    return Path(output_dir).expanduser() / folder
