"""The configuration of an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import PrivateAttr

from nni.config import _rules
from nni.config._algorithm import _AlgorithmConfig
from nni.config._constraint import ConstraintField
from nni.config._errors import ConfigError, Fault
from nni.config._fields import (
    UNLIMITED,
    Count,
    Duration,
    GpuIndices,
    Json,
    LogLimit,
    NonNegative,
    PathField,
    Text,
    Word,
    memory_megabytes,
    optional,
    required,
)
from nni.config._function import TrialCommand
from nni.config._model import ConfigModel, python_spelling
from nni.config._read import follows, read
from nni.config._shared_storage import SharedStorageField
from nni.config._training_service import TrainingServiceConfig, TrainingServiceField, services_for

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from typing_extensions import Self

    from nni.config._legacy_convert import Conversion

Result = TypeVar("Result")
_LOG_LIMIT = "1gb"  # of a trial's log: far beyond what anybody reads, and it still keeps a disk from being filled
LogLevel = Literal["trace", "debug", "info", "warning", "error", "fatal"]


class ExperimentConfig(ConfigModel):
    """
    Everything that defines an experiment (PLT-075…093).

    Parameters
    ----------
    training_service_platform
        Name of a training service, whose section then exists and can be filled; a list of names for hybrid mode.
    **fields
        Any of the fields, by name.

    Raises
    ------
    ConfigError
        For an unknown name or a value that cannot be. What is still missing is told by `canonical` and `validate`.

    Examples
    --------
    >>> config = ExperimentConfig("local")
    >>> config.trial_command = "python3 mnist.py"
    >>> config.trial_concurrency = 2
    >>> config.tuner.name = "TPE"
    >>> config.tuner.class_args["optimize_mode"] = "maximize"
    >>> config.training_service.use_active_gpu = True
    """

    experiment_name: Text | None = optional("Name to recognise the experiment by.", examples=["MNIST"])
    search_space_file: PathField | None = optional(
        "JSON (or YAML) file with the search space; instead of searchSpace.", examples=["search_space.json"]
    )
    search_space: Json | None = optional(
        "The search space; instead of searchSpaceFile. An empty one is written {}.",
        examples=[{"lr": {"_type": "loguniform", "_value": [0.0001, 0.1]}}],
    )
    constraints: list[ConstraintField] | None = optional(
        "What every configuration must satisfy: Python expressions over the names of variables, or functions.",
        examples=[["batch_size * width <= 4096"]],
    )
    trial_command: TrialCommand = required(
        "Shell command (bash; PowerShell on Windows) of a trial. In Python also a function.", "python3 mnist.py"
    )
    trial_code_directory: PathField = optional(
        "Directory with the files of a trial; sent to the training machines but for what .nniignore names.", "."
    )
    trial_concurrency: Count = required("How many trials run at the same time, if resources allow.", 2)
    trial_gpu_number: NonNegative | None = optional(
        "GPUs for each trial. 0: none are visible to it. Absent: not scheduled by GPU, but all are visible."
    )
    max_experiment_duration: Duration | None = optional("When to stop creating trials; absent: never.")
    max_trial_number: Count | None = optional("How many trials to create; absent: unlimited.")
    max_trial_duration: Duration | None = optional("When to stop a running trial; absent: never.")
    trial_log_limit: LogLimit | None = optional(
        "How long trial.log and stderr of a trial may become, each; of a longer one beginning and end are kept. "
        "A size of 64kb or more, or unlimited. Absent: 1gb.",
        examples=["100mb"],
    )
    nni_manager_ip: Text | None = optional(
        "Address of this machine, by which training machines reach the manager; not used by local.",
        examples=["192.0.2.10"],
    )
    use_annotation: bool = optional(
        "Whether the search space is written as annotations in the trial code.", default=False
    )
    debug: bool = optional("Whether to log verbosely and to loosen some internal checks.", default=False)
    log_level: Annotated[LogLevel, Word] | None = optional("What to log; absent: info, or debug with debug.")
    experiment_working_directory: PathField = optional(
        "Directory for logs, checkpoints and results; each experiment has a sub-directory.", "~/nni-experiments"
    )
    tuner_gpu_indices: GpuIndices | None = optional("The GPUs visible to tuner, assessor and advisor.")
    tuner: _AlgorithmConfig | None = optional("The tuner; where there is no advisor either, Auto.", {})
    assessor: _AlgorithmConfig | None = optional("The assessor; it stops trials that do badly.", {})
    advisor: _AlgorithmConfig | None = optional("The advisor: tuner and assessor in one; instead of them.", {})
    optimize_mode: Annotated[Literal["maximize", "minimize"], Word] | None = optional(
        "Which trial counts as the best where no algorithm has an argument of that name, as with a tuner of your own. "
        "Absent: as the algorithms are told, else maximize."
    )
    training_service: TrainingServiceField = required("Where trials run; a list for several.", "{platform: local}")
    shared_storage: SharedStorageField | None = optional("Storage that this and the training machines mount.")
    include_intermediate_results: bool | None = optional(
        "Whether the last intermediate result of a trial that the assessor stops is given to the tuner as its final "
        "one; from configurations of NNI 1.x."
    )
    multi_thread: bool | None = optional(
        "Whether the dispatcher has a thread for each command; from configurations of NNI 1.x."
    )

    _place: Callable[[tuple[str | int, ...]], str] | None = PrivateAttr(None)
    _origin: Conversion | None = PrivateAttr(None)
    """What this was made of, if it comes from a configuration in the schema of NNI 1.x."""

    def __init__(self, training_service_platform: str | Sequence[str] | None = None, **fields: Any) -> None:
        platform = training_service_platform
        if platform is not None and "training_service" in fields:
            raise ConfigError(Fault(("training_service",), "given twice, also as training_service_platform"))
        super().__init__(**fields)
        if platform is not None:
            self.training_service = services_for(platform if isinstance(platform, str) else list(platform))

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # see ConfigModel

    @classmethod
    def from_dict(cls, data: dict[str, Any], *, directory: str | os.PathLike[str] | None = None) -> Self:
        """
        Build a configuration from what stands in a file, or from what `canonical` returned.

        Parameters
        ----------
        data
            Keys in camelCase or snake_case.
        directory
            What relative paths are relative to; by default the current directory.

        Raises
        ------
        ConfigError
            With everything that is wrong in it. The surroundings (files, algorithms) are not looked at, see `validate`.
        """
        config, faults = read(cls, data, directory)
        if faults:
            raise ConfigError(faults)
        config._warn()  # noqa: SLF001  # own class
        return config

    def canonical(self) -> dict[str, Any]:
        """
        Return the complete configuration as JSON: camelCase, absolute paths, nothing for what is absent.

        It may hold secrets (see `redacted`) and loads back to an equal configuration with `from_dict`.

        Raises
        ------
        ConfigError
            With everything that is missing or contradictory.
        """
        written = self._checked(self._written)
        self._checked(lambda: type(self).from_dict(written))
        return written

    def redacted(self) -> dict[str, Any]:
        """Return the JSON form with ``******`` for passwords, tokens and keys: for logs, REST and the page."""
        return self._checked(lambda: self._written(redact=True))

    def validate(self) -> None:  # type: ignore[override]  # pydantic's own one is a deprecated class method
        """
        Check that an experiment can be started with this configuration, here and now.

        Raises
        ------
        ConfigError
            With everything that is wrong: missing and contradictory fields, files that do not exist, the search
            space, algorithms and their arguments.
        """
        from nni.config._start import start_faults  # noqa: PLC0415  # not needed until an experiment starts

        try:
            faults: list[Fault] = []
            type(self).from_dict(self._written())
        except ConfigError as error:
            faults = error.faults
        faults = [*faults, *(fault for fault in start_faults(self) if not follows(fault, faults))]
        if faults:
            raise self._located(faults)

    @property
    def effective_log_level(self) -> LogLevel:
        """The log level after defaults: as configured, else debug with `debug`, else info (PLT-088)."""
        return self.log_level or ("debug" if self.debug else "info")

    @property
    def effective_trial_log_limit(self) -> int | None:
        """How many bytes each log of a trial may have; None: as many as it wants."""
        limit = self.trial_log_limit or _LOG_LIMIT
        return None if limit == UNLIMITED else round(memory_megabytes(limit) * 1024 * 1024)

    @property
    def training_services(self) -> list[TrainingServiceConfig]:
        """The training services as a list, also when there is only one."""
        services = self.training_service
        return services if isinstance(services, list) else [services] if services is not None else []

    def _is_written(self, name: str) -> bool:
        value = getattr(self, name)
        is_untouched = isinstance(value, _AlgorithmConfig) and not value._written()  # noqa: SLF001  # of the same family
        return super()._is_written(name) and not is_untouched

    def _is_needed(self, name: str) -> bool:
        # A template of FrameworkController has the commands in it (PLT-295).
        has_template = any(getattr(service, "config_path", None) is not None for service in self.training_services)
        return name != "trial_command" or not has_template

    def _faults(self) -> Iterator[Fault]:
        return _rules.faults(self)

    def _checked(self, action: Callable[[], Result]) -> Result:
        try:
            return action()
        except ConfigError as error:
            raise self._located(error.faults) from None

    def _located(self, faults: list[Fault]) -> ConfigError:
        """Return an error with the lines of the file that this comes from, or with names as in Python."""
        place, found = self._place, self._spelled(faults)
        if place is not None:
            return ConfigError(fault.at(place(fault.path)) for fault in found)
        return ConfigError(python_spelling(found) if self._origin is None else found)

    def _warn(self) -> None:
        """Log what takes no effect in a configuration of NNI 1.x."""
        if self._origin is not None:
            self._origin.warn(self._place)

    def _spelled(self, faults: list[Fault]) -> list[Fault]:
        """Return faults in the words of the schema in which this was written."""
        return faults if self._origin is None else self._origin.spelled(faults)
