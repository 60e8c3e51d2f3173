"""What is raised: a class for each code of the C library, and Denied."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from librl._librl import Decision


class Error(Exception):
    """The library could not do what was asked; the text says what failed, and what to do.

    `code` is the number of the C library, which is for ever.
    """

    code = 0


class InvalidError(Error, ValueError):
    """A call that the limit or the segment does not take."""

    code = -1


class BadNameError(Error, ValueError):
    """A name that no segment or policy can have."""

    code = -3


class BadLimitError(Error, ValueError):
    """A limit that does not parse, or cannot be represented."""

    code = -4


class BadOptionError(Error, ValueError):
    """An option outside its range."""

    code = -5


class NotFoundError(Error, FileNotFoundError):
    """No segment is there under that name."""

    code = -6


class ExistsError(Error, FileExistsError):
    """The name is taken."""

    code = -7


class NotPermittedError(Error, PermissionError):
    """The file may not be opened, or its owner is not trusted."""

    code = -8


class NotASegmentError(Error):
    """The file is something else."""

    code = -9


class WrongVersionError(Error):
    """The segment has another layout."""

    code = -10


class WrongHostError(Error):
    """The segment was made under another boot or time namespace."""

    code = -11


class CorruptError(Error):
    """The file is cut short, or its fields contradict each other."""

    code = -12


class NoSpaceError(Error):
    """No room in the memory for the table, or in the table for a key."""

    code = -13


class TooManyError(Error):
    """No policy entry is free."""

    code = -14


class UnknownPolicyError(Error, LookupError):
    """The segment has no policy of that name."""

    code = -15


class ReadOnlyError(Error):
    """The segment is open for reading only."""

    code = -16


class UnsupportedError(Error):
    """This CPU or kernel lacks something."""

    code = -17


class SystemCallError(Error, OSError):
    """A system call failed; the text has which."""

    code = -18


class UnexpectedError(Error):
    """Anything else; the text has what."""

    code = -19


# -2 is memory that was not to be had, which Python has a class for.
BY_CODE: dict[int, type[Error]] = {
    kind.code: kind
    for kind in vars().copy().values()
    if isinstance(kind, type) and issubclass(kind, Error) and kind is not Error
}


class Denied(Exception):
    """No permit was to be had, for the block of a with statement. `decision` says why."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(f"no permit ({decision.reason})")
        self.decision = decision

    def __reduce__(self) -> tuple[type[Denied], tuple[Decision], dict[str, object]]:
        return type(self), (self.decision,), self.__dict__
