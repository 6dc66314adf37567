"""The one exception that a front door prints as a sentence."""


class UserError(Exception):
    """A mistake that the user can mend.

    The message is one sentence (a second one may hold the remedy) that names the key, file or value and what would
    be right. Front doors print it without a traceback and exit with code 2.
    """
