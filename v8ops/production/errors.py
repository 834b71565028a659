"""What production refuses."""

from v8lib.errors import V8Error


class ProductionError(V8Error):
    """A production command or file cannot be used as it is."""
