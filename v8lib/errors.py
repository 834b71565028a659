"""Errors a person can act on: each message names the thing and what to do."""


class V8Error(Exception):
    """Base of every error the suite raises on purpose; shown as one line, without a traceback."""


class ParameterError(V8Error, ValueError):
    """A parameter is unknown, missing, of the wrong type or out of range."""


class BarsError(V8Error, ValueError):
    """A file holds no bars, or bars that cannot be used as they are."""


class FeatureError(V8Error, ValueError):
    """A feature column cannot be used: constant, not finite, or not the one expected."""


class SplitError(V8Error, ValueError):
    """The bars are too few for the splits, windows and horizon asked for."""


class StoreError(V8Error):
    """A file that an earlier notebook should have written is missing or unreadable."""


class TrainingError(V8Error):
    """Training diverged, or a checkpoint does not belong to this training."""


class DeviceError(V8Error, ValueError):
    """A device to train on was asked for that is not there."""


class CalibrationError(V8Error, ValueError):
    """Calibration has no answer on these rows."""


class NoSkillError(CalibrationError):
    """The held-out rows show no skill at all: every finite temperature is too sharp."""


class BundleError(V8Error):
    """A bundle is incomplete, altered, or of a version this code does not know."""


class RunError(V8Error):
    """A run cannot be started, resumed or written."""
