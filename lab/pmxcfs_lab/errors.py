"""The one error the lab shows to people: what is wrong and what to do about it."""


class LabError(Exception):
    """Something the user can read and act on.

    Attributes:
        hint: one sentence on what to try, or an empty string.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
