"""The five tabular sets of density estimation, in the preprocessing and splits of the MAF paper.

Papamakarios, Pavlakou and Murray 2017, Section 4 and Appendix D, following the authors' code (gpapamak/maf) step by
step, so that nats compare. The files are those of their archive (Zenodo record 1161203), below `data_dir`.
"""

import tarfile
import zipfile
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import torch
from torchvision.datasets.utils import download_url

from genmodels.data.examples import Examples
from genmodels.data.files import corrupt, download, require
from genmodels.data.pickles import read_frame
from genmodels.data.source import Source
from genmodels.data.table_checks import constant_column, fault_of, not_finite
from genmodels.errors import UserError
from genmodels.files import replacing

ARCHIVE = "maf_tabular_data.tar.gz"
ARCHIVE_URL = "https://zenodo.org/records/1161203/files/data.tar.gz"
ARCHIVE_MD5 = "9b9c9b0375315ad270eba4ce80c093ab"

PARTS = ("train", "validation", "test")
_MOST_COLUMNS, _MOST_ROWS = 100, 2_000_000  # the sets have up to 63 and 1,659,917
_LONGEST_HEADER = 10_000  # bytes
_DAMAGE = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError),
    zipfile.BadZipFile,
)

Parts = tuple[np.ndarray, np.ndarray, np.ndarray]  # training, validation, test


class Tabular(Source):
    """Real vectors, float32 [D], no labels, with their own validation part."""

    levels = None
    own_validation = True
    files: ClassVar[tuple[str, ...]]

    def load(self, path: Path) -> Any:
        """The content of one of the files."""
        return np.array(np.load(path, mmap_mode="r"))  # mapped first: a header may name any size

    @abstractmethod
    def parts(self, *contents: Any) -> Parts:
        """Preprocess and split what the files hold."""

    def read(self, part: str) -> Examples:
        paths = [require(self.root / name, self.title, self._remedy()) for name in self.files]
        contents = [self._loaded(path) for path in paths]
        path = paths[-1]
        try:
            with np.errstate(invalid="ignore", divide="ignore"):  # what comes of it is told below
                parts = [np.ascontiguousarray(rows, dtype=np.float32) for rows in self.parts(*contents)]
        except _DAMAGE as error:
            raise self._fault(paths) or corrupt(path, self.title, error) from error
        examples = {name: torch.from_numpy(rows) for name, rows in zip(PARTS, parts, strict=True)}
        for name, x in examples.items():
            fault = not_finite(x) or (constant_column(x) if name == "train" else None)
            if fault is not None:
                words = f"in the preprocessed {name} part, {fault}"
                raise self._fault(paths) or corrupt(path, self.title, words)
        return Examples(examples[part])

    def _loaded(self, path: Path) -> Any:
        try:
            return self.load(path)
        except _DAMAGE as error:
            raise corrupt(path, self.title, error) from error

    def _fault(self, paths: Sequence[Path]) -> UserError | None:
        """What is wrong in the files themselves, where that can be told. Columns that are not used may hold anything,
        so this is asked only when something went wrong. They are read anew: `parts` may have reordered them."""
        for path in paths:
            try:
                fault = fault_of(self.load(path))
            except Exception:  # told already
                continue
            if fault is not None:
                return corrupt(path, self.title, fault)
        return None

    def download(self) -> None:
        if all((self.root / name).exists() for name in self.files):
            return
        by_hand = f"unpack {ARCHIVE_URL} so that {self.files[0]} lies in {self.root.absolute()}"
        download(lambda: download_url(ARCHIVE_URL, str(self.root), ARCHIVE, ARCHIVE_MD5), self.title, by_hand)
        with tarfile.open(self.root / ARCHIVE) as archive:
            for member in archive:
                for name in self.files:
                    if member.isfile() and member.name.endswith(f"/{name}"):
                        self._extract(archive, member, self.root / name)

    def _extract(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        content = archive.extractfile(member)
        assert content is not None  # it is a file
        with replacing(path) as file:
            while block := content.read(1 << 20):
                file.write(block)

    def _remedy(self) -> str:
        return f"add data.download=true or unpack {ARCHIVE_URL} and set data_dir=<its folder 'data'>"


class Power(Tabular):
    """Household electric power, 6 dimensions: 1,659,917 / 184,435 / 204,928."""

    title = "POWER"
    files = ("power/data.npy",)

    def parts(self, *contents: Any) -> Parts:
        (data,) = contents
        rng = np.random.RandomState(42)
        rng.shuffle(data)
        data = np.delete(data, [1, 3], axis=1)  # reactive power and intensity, which follow from the others
        # Noise as wide as each measurement's last digit, drawn in the order of the authors' code.
        count = len(data)
        voltage, active = 0.01 * rng.rand(count, 1), 0.001 * rng.rand(count, 1)
        meters = rng.rand(count, 3)
        data = data + np.hstack([active, voltage, meters, np.zeros((count, 1))])
        return _standardized(*_tenths(data))


class Gas(Tabular):
    """Chemical sensors in gas mixtures, 8 dimensions: 852,174 / 94,685 / 105,206. Not shuffled; standardised with the
    statistics of all parts, test included, as the authors do.
    """

    title = "GAS"
    files = ("gas/ethylene_CO.pickle",)

    def load(self, path: Path) -> Any:
        pandas = _optional("pandas")
        try:
            frame = read_frame(path, pandas)
        except Exception as error:  # an old pickle can fail in any way
            raise UserError(
                f"pandas {pandas.__version__} cannot read {path.absolute()} ({error}): it was written by an old "
                "pandas, or is another file; read the published one with a pandas below 2 and save it again with "
                "DataFrame.to_pickle."
            ) from error
        if len(frame.columns) > _MOST_COLUMNS:
            raise ValueError(f"it has {len(frame.columns):,} columns")
        return frame

    def parts(self, *contents: Any) -> Parts:
        data = contents[0].drop(columns=["Meth", "Eth", "Time"])
        while len(repeated := _correlated_columns(data.corr().to_numpy())):
            data = data.drop(columns=data.columns[repeated[0]])
        return _tenths(((data - data.mean()) / data.std()).to_numpy())


class Hepmass(Tabular):
    """Particle collisions (signal only), 21 dimensions: 315,123 / 35,013 / 174,987."""

    title = "HEPMASS"
    files = ("hepmass/1000_train.csv", "hepmass/1000_test.csv")

    def load(self, path: Path) -> Any:
        pandas = _optional("pandas")
        with path.open("rb") as file:
            header = file.readline(_LONGEST_HEADER)
        # Pandas fills short rows up: a long header above many empty lines would fill the memory.
        if b'"' in header or header.count(b",") >= _MOST_COLUMNS or not header.endswith(b"\n"):
            raise ValueError(f"its first line is no header of at most {_MOST_COLUMNS} columns")
        return pandas.read_csv(path, index_col=False, skip_blank_lines=False)

    def parts(self, *contents: Any) -> Parts:
        train, test = contents
        train = train[train.iloc[:, 0] == 1].iloc[:, 1:]  # column 0 is the class: 1 is signal
        test = test[test.iloc[:, 0] == 1].iloc[:, 1:-1]  # the test file has one column too many
        mean, deviation = train.mean(), train.std()
        known, unknown = ((rows - mean) / deviation for rows in (train, test))
        columns = _continuous_columns(known.to_numpy())
        known, unknown = known.to_numpy()[:, columns], unknown.to_numpy()[:, columns]
        train_rows, validation = _last_tenth(known)
        return train_rows, validation, unknown


class Miniboone(Tabular):
    """Neutrino events, 43 dimensions: 29,556 / 3,284 / 3,648. The file is already without outliers and discrete
    columns."""

    title = "MINIBOONE"
    files = ("miniboone/data.npy",)

    def parts(self, *contents: Any) -> Parts:
        return _standardized(*_tenths(contents[0]))


class BSDS300(Tabular):
    """8x8 patches of natural images (BSDS300) less their mean, 63 dimensions: 1,000,000 / 50,000 / 250,000. As is."""

    title = "BSDS300"
    files = ("BSDS300/BSDS300.hdf5",)

    def load(self, path: Path) -> Any:
        with _optional("h5py").File(path, "r") as file:
            return tuple(_rows(file, part) for part in PARTS)

    def parts(self, *contents: Any) -> Parts:
        return contents[0]


def _optional(name: str) -> ModuleType:
    """A package of the `tabular` extra."""
    try:
        return __import__(name)
    except ImportError as error:
        raise UserError(f"This data set needs {name}: run pip install 'genmodels[tabular]'.") from error


def _rows(file: Any, part: str) -> np.ndarray:
    """One part of an HDF5 file, which may name other files to take its numbers from, or any number of zeros."""
    found = file[part] if file.get(part, getlink=True).__class__.__name__ == "HardLink" else None
    if found is None or not hasattr(found, "shape") or found.external or found.is_virtual:
        raise ValueError(f"its {part} part lies in another file")
    if found.dtype.kind != "f" or found.ndim != 2 or found.size > _MOST_ROWS * _MOST_COLUMNS:
        raise ValueError(f"its {part} part is {found.dtype} {list(found.shape)}")
    return found[:]


def _last_tenth(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = int(0.1 * len(data))
    return data[:-count], data[-count:]


def _tenths(data: np.ndarray) -> Parts:
    """The last tenth is the test part, the last tenth of the rest the validation part."""
    rest, test = _last_tenth(data)
    return *_last_tenth(rest), test


def _standardized(train: np.ndarray, validation: np.ndarray, test: np.ndarray) -> Parts:
    """Zero mean and unit deviation over training and validation together."""
    known = np.concatenate([train, validation])
    mean, deviation = known.mean(axis=0), known.std(axis=0)
    return (train - mean) / deviation, (validation - mean) / deviation, (test - mean) / deviation


def _correlated_columns(correlation: np.ndarray) -> np.ndarray:
    """The columns that correlate by more than 0.98 with another one."""
    return np.flatnonzero((correlation > 0.98).sum(axis=1) > 1)


def _continuous_columns(data: np.ndarray) -> np.ndarray:
    """The columns whose smallest value occurs at most five times (the authors' test for discrete ones)."""
    return np.flatnonzero((data == data.min(axis=0)).sum(axis=0) <= 5)
