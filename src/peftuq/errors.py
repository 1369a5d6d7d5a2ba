"""The one exception that a user's mistake becomes."""


class UserError(Exception):
    """A mistake the user can mend. The message is one line: which file, which key, what to do."""
