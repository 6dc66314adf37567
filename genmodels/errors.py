"""What a front door prints as a sentence instead of a traceback."""


class UserError(Exception):
    """A mistake that the user can mend.

    The message is one sentence (a second one may hold the remedy) that names the key, file or value and what would
    be right. Front doors print it without a traceback and exit with code 2.
    """


class Interrupted(Exception):
    """Training was stopped from outside (Ctrl-C, a signal) and has left its checkpoint.

    The message says how to go on. Front doors print it and exit with code 130.
    """
