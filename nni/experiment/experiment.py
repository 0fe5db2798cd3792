"""The Python class that stands for one experiment (PLT-202…218)."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from nni.common.errors import NniError
from nni.common.paths import absolute
from nni.config import ExperimentConfig, FunctionCommand, TrainingServiceConfig, check_available
from nni.experiment import _console, _results, launch
from nni.experiment._console import logger
from nni.experiment._progress import wait_until_done
from nni.experiment.client import NniClient, NoAnswerError
from nni.experiment.data import BestTrial
from nni.store.registry import ExperimentRegistry, RegistryEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from typing_extensions import Self

    from nni.experiment.data import TrialJob, TrialMetricData, TrialResult
    from nni.experiment.importance import ParameterImportance

__all__ = ["Experiment"]

Platform: TypeAlias = "str | Sequence[str | TrainingServiceConfig] | TrainingServiceConfig"


_FAREWELL_S = 15.0
"""Seconds between the last answer of a manager that stops and the release of its lock, generously."""


_LOOK_S = 0.2


class NotStartedError(NniError):
    """The experiment has no manager to ask."""


class Experiment:
    """One experiment: configure, run, look at, change, stop.

    It lives in a process of its own, so it can also be seen and stopped with ``nnictl``, and it goes on when this
    Python process ends without :meth:`stop`. After :meth:`stop` its results can still be read here.

    Parameters
    ----------
    config_or_platform
        A complete config, or the training service (``"local"``, a config of one, or a list of either for hybrid
        mode), or nothing to set ``config.training_service`` later.

    Attributes
    ----------
    config : ExperimentConfig
        Filled by the user until the start. With :meth:`connect` and :meth:`resume`: what the experiment runs with.

    Examples
    --------
    >>> experiment = Experiment("local")
    >>> experiment.config.trial_command = "python3 trial.py"
    >>> experiment.config.trial_concurrency = 2
    >>> experiment.config.max_trial_number = 10
    >>> experiment.config.search_space = {"lr": {"_type": "loguniform", "_value": [1e-4, 0.1]}}
    >>> experiment.config.tuner.name = "TPE"
    >>> experiment.run(8080)  # doctest: +SKIP
    True
    """

    def __init__(self, config_or_platform: ExperimentConfig | Platform | None = None) -> None:
        _console.prepare()
        self.config: ExperimentConfig = _as_config(config_or_platform)
        self._entry: RegistryEntry | None = None
        self._client: NniClient | None = None
        self._results: _results.Results | None = None
        self._stopped = False
        self.url_prefix: str | None = None
        """Path under which page and REST API are served, for a proxy such as JupyterLab's; set it before the start."""

    # Start and stop

    def start(self, port: int = 8080, debug: bool = False) -> None:
        """Start the experiment and return once it runs; it goes on until :meth:`stop`.

        Parameters
        ----------
        port
            Port of REST API and web page. Default 8080.
        debug
            Debug logs, and no version check of trial runners. Default False.

        Raises
        ------
        ConfigError
            The config is incomplete or wrong; each fault is named with its key.
        LaunchError
            The port is taken, or the manager refuses to start.
        """
        if self._client is not None:
            raise NniError(f"experiment {self.id} has been started already")
        if os.environ.get("NNI_LOADING_FUNCTION"):
            raise NniError(
                "a worker that imports the module of its function must not start another experiment: "
                "put the start under `if __name__ == '__main__':`"
            )
        config = self._launch_config()
        options = launch.LaunchOptions(port=port, debug=debug, url_prefix=self.url_prefix)
        launched = launch.create(config, options, notify=_console.announce, files=self._launch_files())
        try:
            self._attach(launched)
        except BaseException:
            if self._entry is None:  # Ctrl-C at this instant: nobody would know of it
                from nni.experiment.stop import stop_experiment  # noqa: PLC0415 - psutil

                stop_experiment(ExperimentRegistry().get(launched.id))
            raise

    def run(self, port: int = 8080, wait_completion: bool = True, debug: bool = False) -> bool:
        """Start the experiment, wait until it is done, and stop it.

        Parameters
        ----------
        port
            Port of REST API and web page. Default 8080.
        wait_completion
            False returns after the start, as :meth:`start` does. Default True.
        debug
            As for :meth:`start`.

        Returns
        -------
        bool
            True if it came to its end (or was only started), False if it failed, was stopped from elsewhere, or was
            interrupted with Ctrl-C, which stops it.
        """
        self.start(port, debug)
        return self._finish() if wait_completion else True

    def wait_and_stop(self) -> tuple[str, list[str]]:
        """Wait until the experiment that was started is done, and stop it, whatever happens meanwhile.

        Returns
        -------
        tuple of str and list of str
            ``DONE``, ``ERROR``, ``INTERRUPTED`` (by Ctrl-C) or ``STOPPED`` (from elsewhere); and its error messages.
        """
        try:
            summary = wait_until_done(self._require_client())
        except KeyboardInterrupt:
            logger.warning("KeyboardInterrupt detected")
            return "INTERRUPTED", []
        except NoAnswerError:
            if not _ends(self._require_entry()):
                raise
            logger.warning("Experiment %s was stopped from elsewhere", self.id)
            return "STOPPED", []
        finally:
            self.stop()
        for error in summary["errors"]:
            logger.error("%s", error)
        return summary["status"], summary["errors"]

    def stop(self) -> None:
        """Stop the experiment and all its trials; does nothing if it is not running."""
        if self._client is None or self._stopped:
            return
        logger.info("Stopping experiment, please wait...")
        entry = self._require_entry()
        from nni.experiment.stop import find_manager, stop_experiment  # noqa: PLC0415 - psutil

        manager = find_manager(entry)
        try:
            last = self._last_answer()
            if manager is None:
                _stop_by_request(self._client)  # as another user, or its files are gone
            else:
                stop_experiment(entry)
        except KeyboardInterrupt:  # once more: not to be waited for, but nothing is left running
            if manager is not None and manager.is_running():
                manager.terminate()
            raise
        # What the disk holds now includes how the trials were ended; elsewhere its last answer must do.
        self._results = (_results.read(entry.directory, last.profile) if last else None) or last
        self._stopped = True
        self._client.close()
        logger.info("Experiment stopped")

    @classmethod
    def connect(cls, port: int) -> Self:
        """Return the experiment that runs on a port, however it was started.

        Raises
        ------
        NoAnswerError
            Nothing answers there.
        """
        experiment = cls()
        known = next((entry for entry in ExperimentRegistry().entries() if entry.port == port and entry.alive), None)
        client = NniClient.of(known) if known else NniClient(port)
        profile = client.profile()
        experiment._client = client
        experiment._entry = known or RegistryEntry(profile["id"], _directory(profile), port)
        experiment.config = ExperimentConfig.from_dict(profile["params"])
        status = experiment.get_status()
        logger.info("Connect to port %d success, experiment id is %s, status is %s.", port, experiment.id, status)
        return experiment

    @classmethod
    def resume(
        cls,
        experiment_id: str,
        port: int = 8080,
        wait_completion: bool = True,
        debug: bool = False,
        *,
        experiment_dir: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Continue a stopped experiment.

        Parameters
        ----------
        experiment_id
            Its id.
        port, debug
            As for :meth:`start`.
        wait_completion
            Wait until it is done and stop it, as :meth:`run` does; False returns while it runs. Default True.
        experiment_dir
            Its directory, if it was moved, or is not in the list of experiments. Default: where it was.

        Raises
        ------
        LaunchError
            It is unknown or running, or the port is taken.
        """
        experiment = cls()
        directory = None if experiment_dir is None else absolute(experiment_dir)
        options = launch.LaunchOptions(port=port, debug=debug)
        notify = partial(_console.announce, what="Resuming")
        experiment._attach(launch.resume(experiment_id, options, directory=directory, notify=notify))
        experiment.config = ExperimentConfig.from_dict(experiment.get_experiment_profile()["params"])
        if wait_completion:
            experiment._finish()
        return experiment

    @classmethod
    def view(
        cls,
        experiment_id: str,
        port: int = 8080,
        non_blocking: bool = False,
        *,
        wait_completion: bool | None = None,
        experiment_dir: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Look at a stopped experiment without changing anything of it.

        Parameters
        ----------
        experiment_id
            Its id.
        port
            Port of REST API and web page. Default 8080.
        non_blocking
            True returns at once; :meth:`stop` ends the view. Default False: stay until Ctrl-C, or until the view is
            ended from elsewhere.
        wait_completion
            The same the other way round, as :meth:`resume` calls it. Default: what `non_blocking` says.
        experiment_dir
            Its directory, if it was moved or copied. Default: where it was.

        Raises
        ------
        LaunchError
            It is unknown or running, or the port is taken.
        """
        experiment = cls()
        directory = None if experiment_dir is None else absolute(experiment_dir)
        options = launch.LaunchOptions(port=port)
        notify = partial(_console.announce, what="Viewing")
        experiment._attach(launch.view(experiment_id, options, directory=directory, notify=notify))
        experiment.config = ExperimentConfig.from_dict(experiment.get_experiment_profile()["params"])
        if not non_blocking if wait_completion is None else wait_completion:
            experiment._show_until_interrupted()
        return experiment

    # What subclasses may change (PLT-218)

    def _launch_config(self) -> dict[str, Any]:
        """Return the checked config for the manager; a subclass may fill in the trial command here first."""
        check_available(self.config)
        self.config.validate()
        return self.config.canonical()

    def _launch_files(self) -> dict[str, bytes]:
        """Return files for the experiment's directory: trial command and constraints, where they are functions."""
        command, constraints = self.config.trial_command, self.config.constraints or []
        if not any(isinstance(each, FunctionCommand) for each in [command, *constraints]):
            return {}
        from nni.experiment._function import constraint_files, files_of  # noqa: PLC0415 - only for functions

        return {**(files_of(command) if isinstance(command, FunctionCommand) else {}), **constraint_files(constraints)}

    # Look

    @property
    def id(self) -> str | None:
        """The experiment's id; None before the start."""
        return self._entry.id if self._entry else None

    @property
    def port(self) -> int | None:
        """The port of its REST API and web page; None before the start."""
        return self._entry.port if self._entry else None

    def get_status(self) -> str:
        """Return the status, such as ``'RUNNING'``."""
        return "STOPPED" if self._stopped else self._require_client().check_status()[0]

    def get_experiment_profile(self) -> dict[str, Any]:
        """Return id, revision, times, and the config under ``params``."""
        return self._results.profile if self._results else self._require_client().profile()

    def export_data(self) -> list[TrialResult]:
        """Return parameters and final result of every succeeded trial."""
        return self._results.exported if self._results else self._require_client().export_data()

    @property
    def best(self) -> BestTrial | None:
        """Parameters, result and id of the best trial; None while no trial has a result."""
        found = self._results.best if self._results else self._require_client().summary()["best"]
        return None if found is None else BestTrial.from_row(found)

    def parameter_importance(self) -> list[ParameterImportance]:
        """Return how much each parameter decided about the results; see :func:`nni.experiment.parameter_importance`."""
        from nni.experiment.importance import parameter_importance  # noqa: PLC0415 - numpy, needed only here

        return parameter_importance(self)

    def list_trial_jobs(self) -> list[TrialJob]:
        """Return all trials."""
        return self._results.jobs if self._results else self._require_client().trial_jobs()

    def get_trial_job(self, trial_job_id: str) -> TrialJob:
        """Return one trial; an unknown id is an error."""
        if self._results is None:
            return self._require_client().trial_job(trial_job_id)
        found = [job for job in self._results.jobs if job.trialJobId == trial_job_id]
        if not found:
            raise NniError(f"experiment {self.id} has no trial {trial_job_id!r}")
        return found[0]

    def get_job_statistics(self) -> dict[str, int]:
        """Return the number of trials in each status that occurs."""
        if self._results is None:
            return self._require_client().job_statistics()
        counts = defaultdict[str, int](int)
        for job in self._results.jobs:
            counts[job.status] += 1
        return dict(counts)

    def get_job_metrics(self, trial_job_id: str | None = None) -> dict[str, list[TrialMetricData]]:
        """Return everything that trials have reported, by trial id.

        Parameters
        ----------
        trial_job_id
            Only this trial. Default: all.
        """
        metrics = self._results.metrics if self._results else self._require_client().metric_data(trial_job_id)
        by_trial = defaultdict[str, list["TrialMetricData"]](list)
        for metric in metrics:
            if trial_job_id in {None, metric.trialJobId}:
                by_trial[metric.trialJobId].append(metric)
        return dict(by_trial)

    def get_experiment_metadata(self, experiment_id: str | None = None) -> dict[str, Any]:
        """Return an entry of the list of experiments; default this one's."""
        wanted = experiment_id or self._require_entry().id
        return ExperimentRegistry().get(wanted).to_json()

    @staticmethod
    def get_all_experiments_metadata() -> list[dict[str, Any]]:
        """Return the list of all experiments of this user on this machine, stopped ones too."""
        return [entry.to_json() for entry in ExperimentRegistry().entries()]

    # Change

    def update_max_trial_number(self, value: int) -> None:
        """Change how many trials are created at most; a higher number continues a finished experiment."""
        self._require_client().update_profile("MAX_TRIAL_NUM", value)
        logger.info("Successfully update maxTrialNum.")

    def update_trial_concurrency(self, value: int) -> None:
        """Change how many trials run at the same time."""
        self._require_client().update_profile("TRIAL_CONCURRENCY", value)
        logger.info("Successfully update trialConcurrency.")

    def update_max_experiment_duration(self, value: str) -> None:
        """Change how long trials are created, such as ``"2h"`` (units s, m, h, d)."""
        self._require_client().update_profile("MAX_EXEC_DURATION", value)
        logger.info("Successfully update maxExecDuration.")

    def update_search_space(self, value: Mapping[str, Any]) -> None:
        """Give the tuner a new search space."""
        self._require_client().update_profile("SEARCH_SPACE", dict(value))
        logger.info("Successfully update searchSpace.")

    def import_data(self, data: Iterable[Mapping[str, Any] | TrialResult]) -> None:
        """Feed finished ``{"parameter", "value"}`` pairs to the tuner; what :meth:`export_data` returns fits too."""
        records = [item if not isinstance(item, tuple) else item._asdict() for item in data]
        self._require_client().import_data(records)

    def add_trial(self, parameters: Mapping[str, Any]) -> int:
        """Queue a trial with parameters of your own; returns its sequence number."""
        return self._require_client().add_trial(parameters)

    def kill_trial(self, trial_job_id: str) -> None:
        """Cancel a waiting or running trial."""
        self._require_client().kill_trial(trial_job_id)

    # Inside

    def _attach(self, launched: launch.Launched) -> None:
        self._entry = ExperimentRegistry().get(launched.id)
        self._client = NniClient.of(self._entry)
        logger.info("Web UI URLs: %s", " ".join(launched.urls))

    def _finish(self) -> bool:
        return self.wait_and_stop()[0] == "DONE"

    def _show_until_interrupted(self) -> None:
        logger.info("Press Ctrl-C to end the view")
        entry = self._require_entry()
        try:
            while entry.alive:
                time.sleep(_LOOK_S)
        except KeyboardInterrupt:
            logger.info("KeyboardInterrupt detected")
        finally:
            self.stop()

    def _last_answer(self) -> _results.Results | None:
        try:
            return _results.ask(self._require_client())
        except NoAnswerError:
            return None

    def _require_client(self) -> NniClient:
        if self._client is None:
            raise NotStartedError("the experiment has not been started; call start(), run() or connect() first")
        if self._stopped:
            raise NotStartedError(f"experiment {self.id} has been stopped; Experiment.resume({self.id!r}) continues it")
        return self._client

    def _require_entry(self) -> RegistryEntry:
        if self._entry is None:
            raise NotStartedError("the experiment has not been started; call start(), run() or connect() first")
        return self._entry


def _as_config(given: ExperimentConfig | Platform | None) -> ExperimentConfig:
    if isinstance(given, ExperimentConfig):
        return given
    if given is None or isinstance(given, str):
        return ExperimentConfig(given)
    services = [given] if isinstance(given, TrainingServiceConfig) else list(given)
    if all(isinstance(service, str) for service in services):
        return ExperimentConfig([str(service) for service in services])
    built = [
        service if not isinstance(service, str) else ExperimentConfig(service).training_service for service in services
    ]
    return ExperimentConfig(training_service=given if isinstance(given, TrainingServiceConfig) else built)


def _directory(profile: Mapping[str, Any]) -> Path:
    from pathlib import Path  # noqa: PLC0415 - typing only elsewhere

    return Path(profile["logDir"])


def _ends(entry: RegistryEntry) -> bool:
    """Return whether a manager that does not answer any more is about to end, and not just out of reach."""
    deadline = time.monotonic() + _FAREWELL_S
    while entry.alive and time.monotonic() < deadline:
        time.sleep(0.05)
    return not entry.alive


def _stop_by_request(client: NniClient) -> None:
    try:
        client.stop()
    except NoAnswerError:
        return  # it is gone already
