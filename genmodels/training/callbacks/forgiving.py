"""What a run can do without: it may fail, and the training goes on."""

import warnings
from types import TracebackType

from genmodels.errors import Interrupted, UserError


class Forgiving:
    """`with Forgiving("samples"):` lets any error of the body end the body alone, and says so the first time.

    Not among these are what ends the run elsewhere too: a UserError (a full disk) and an interruption.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_told = False

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        if not isinstance(error, Exception) or isinstance(error, UserError | Interrupted):
            return False
        if not self._is_told:
            reason = " ".join(str(error).split())
            message = f"{self._what} could not be drawn ({type(error).__name__}: {reason}); the training goes on."
            warnings.warn(message, stacklevel=2)
            self._is_told = True
        return True
