"""The newest picture of a run's samples, as it goes into a page."""

import base64
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from genmodels.errors import UserError
from genmodels.picture_files import open_picture
from genmodels.runs.folder import RunFolder

_LARGEST = 5_000_000  # bytes of a picture


@dataclass(frozen=True)
class Sample:
    """A PNG.

    Attributes:
        path: the file.
        width, height: pixels.
        size: bytes.
    """

    path: Path
    width: int
    height: int
    size: int

    def as_uri(self) -> str:
        """The file's content as a `data:` address."""
        return f"data:image/png;base64,{base64.b64encode(self.path.read_bytes()).decode()}"


def newest_sample(folder: RunFolder) -> Sample | None:
    """The PNG in `samples` that was written last; None if there is none that can be shown.

    One that lies elsewhere and is only linked to is passed over: a report may be given away, and would take somebody
    else's picture along.
    """
    files = [file for file in folder.samples.glob("*.png") if file.is_file()]
    for file in sorted(files, key=lambda file: (file.stat().st_mtime, file.name), reverse=True):
        try:
            folder.keep_inside(file)
            with open_picture(file) as picture:
                if picture.format == "PNG" and file.stat().st_size <= _LARGEST:
                    return Sample(file, picture.width, picture.height, file.stat().st_size)
        except (UserError, OSError, Image.DecompressionBombError):
            continue
    return None
