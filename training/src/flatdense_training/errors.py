"""What can go wrong in a training job.

TrainingError
├── DataMissing        a file or folder of the dataset is not there, or cannot be opened
├── DataDamaged        a file is there and is not what it should be
├── DataUnfit          the data is there and whole, and cannot be learnt from as it is
├── DownloadFailed     no mirror gave the data
├── RunUnderWay        another process does the same run
├── CheckpointsUnwritable  there is no place for what a stopped run goes on from
├── LogUnwritable      the curves cannot be written
├── WorkerLost         another worker of the run went away, or never came
├── WorkersDiffer      a worker has other data or options than the chief
├── TrainingDiverged   the loss became NaN or infinite
├── AccuracyTooLow     the model is not good enough to be exported
├── ExportFailed       the version could not be written, or does not answer as the trained model
│                      does
├── CompileFailed      the library could not be compiled, or does not give the right answers
└── ComparisonFailed   two versions cannot be compared

Each message says what was wrong, what was expected, and what to do.
"""


class TrainingError(Exception):
    """The training job cannot go on. Its text is for the user, as it stands."""


class DataMissing(TrainingError):
    """A file or folder of the dataset is not there, or cannot be opened."""


class DataDamaged(TrainingError):
    """A file of the dataset is there and is not what it should be."""


class DataUnfit(TrainingError):
    """The data is there and whole, and cannot be learnt from as it is."""


class DownloadFailed(TrainingError):
    """No mirror gave the data."""


class RunUnderWay(TrainingError):
    """Another process does the same run."""


class CheckpointsUnwritable(TrainingError):
    """There is no place for what a stopped run goes on from."""


class LogUnwritable(TrainingError):
    """The curves cannot be written."""


class WorkerLost(TrainingError):
    """Another worker of the run went away, or never came."""


class WorkersDiffer(TrainingError):
    """A worker has other data, options or libraries than the chief."""


class TrainingDiverged(TrainingError):
    """The loss became NaN or infinite."""


class AccuracyTooLow(TrainingError):
    """The model is not good enough to be exported."""


class ExportFailed(TrainingError):
    """The version could not be written, or does not answer as the trained model does."""


class CompileFailed(TrainingError):
    """The library could not be compiled, or does not give the right answers."""


class ComparisonFailed(TrainingError):
    """Two versions cannot be compared."""
