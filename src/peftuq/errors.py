"""The one exception that a user's mistake becomes."""

LONGEST = 2000  # characters of a message


class UserError(Exception):
    """A mistake the user can mend. The message is one line: which file, which key, what to do.

    It may quote what a user wrote, whatever that is: line breaks become spaces, other unprintable characters escapes,
    and the middle of an overlong message is left out.
    """

    def __init__(self, message: str):
        if len(message) > LONGEST:
            message = f"{message[: LONGEST // 2]} … {message[-LONGEST // 2 :]}"
        line = " ".join(part.strip() for part in message.splitlines() if part.strip())
        super().__init__("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line))
