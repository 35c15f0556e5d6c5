"""What `doctor` finds."""

from gateway.model.base import Model


class Finding(Model, frozen=True, kw_only=True):
    """One line of the doctor: what was looked at, how it is, what to do."""

    subject: str
    #: `ok`, `note` or `problem`.
    state: str
    text: str
    advice: str = ""
