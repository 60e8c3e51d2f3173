"""What is raised: a class for each code of the C library, and Denied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from librl._librl import Decision


# By the number of the C library; -2 is memory that was not to be had, which Python has a class for.
BY_CODE: dict[int, type[Error]] = {}


class Error(Exception):
    """The library could not do what was asked; the text says what failed, and what to do.

    `code` is the number of the C library, which is for ever.
    """

    code = 0

    def __init_subclass__(cls, *, code: Optional[int] = None, **others: Any) -> None:
        super().__init_subclass__(**others)
        if code is not None:
            cls.code = code
            BY_CODE[code] = cls


class InvalidError(Error, ValueError, code=-1):
    """A call that the limit or the segment does not take."""


class BadNameError(Error, ValueError, code=-3):
    """A name that no segment or policy can have."""


class BadLimitError(Error, ValueError, code=-4):
    """A limit that does not parse, or cannot be represented."""


class BadOptionError(Error, ValueError, code=-5):
    """An option outside its range."""


class NotFoundError(Error, FileNotFoundError, code=-6):
    """No segment is there under that name."""


class ExistsError(Error, FileExistsError, code=-7):
    """The name is taken."""


class NotPermittedError(Error, PermissionError, code=-8):
    """The file may not be opened, or its owner is not trusted."""


class NotASegmentError(Error, code=-9):
    """The file is something else."""


class WrongVersionError(Error, code=-10):
    """The segment has another layout."""


class WrongHostError(Error, code=-11):
    """The segment was made under another boot or time namespace."""


class CorruptError(Error, code=-12):
    """The file is cut short, or its fields contradict each other."""


class NoSpaceError(Error, code=-13):
    """No room in the memory for the table, or in the table for a key."""


class TooManyError(Error, code=-14):
    """No policy entry is free."""


class UnknownPolicyError(Error, LookupError, code=-15):
    """The segment has no policy of that name."""


class ReadOnlyError(Error, code=-16):
    """The segment is open for reading only."""


class UnsupportedError(Error, code=-17):
    """This CPU or kernel lacks something."""


class SystemCallError(Error, OSError, code=-18):
    """A system call failed; the text has which."""


class UnexpectedError(Error, code=-19):
    """Anything else; the text has what."""


class Denied(Exception):
    """No permit was to be had, for the block of a with statement. `decision` says why."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(f"no permit ({decision.reason})")
        self.decision = decision

    def __reduce__(self) -> tuple[type[Denied], tuple[Decision], dict[str, object]]:
        return type(self), (self.decision,), self.__dict__
