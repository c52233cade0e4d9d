"""What can go wrong, in the words of the person at the microscope.

Every message says what was received, what is allowed and what to do about it.
"""

__all__ = [
    "ConfigError",
    "DipstreamError",
    "ReadError",
    "SourceError",
    "StepError",
    "StoreError",
]


class DipstreamError(Exception):
    """Anything dipstream reports on purpose; the text is meant to be read by people."""


class ConfigError(DipstreamError):
    """A pipeline file, setting or command line cannot be used as it stands."""


class SourceError(DipstreamError):
    """A camera, folder or file cannot be opened, or stopped delivering."""


class ReadError(DipstreamError):
    """One file or plane cannot be decoded; it goes to the quarantine."""


class StepError(DipstreamError):
    """A step cannot work on this image set; its frames go to the quarantine."""


class StoreError(DipstreamError):
    """The run's table cannot be written or read."""
