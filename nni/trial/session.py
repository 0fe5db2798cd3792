"""What a trial knows of itself: its ids, its parameters, and where its results go."""

import os
import sys
import time

from nni.trial.encoding import decoder, encoder
from nni.trial.spool import Spool

TYPE_CHECKING = False  # typing itself would cost every trial some milliseconds
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    class Session(Protocol):
        """What the trial API needs to know and do."""

        experiment_id: str
        trial_id: str
        sequence_id: int

        def next_parameters(self) -> Any:
            """Return the parameters on the first call and None afterwards."""

        def report(self, kind: str, value: Any) -> None:
            """Take a result."""


STANDALONE = "STANDALONE"


class StandaloneSession:
    """A trial script run by hand: no parameters, and reports are only printed (PLT-181, HPO-020 … HPO-026)."""

    experiment_id = STANDALONE
    trial_id = STANDALONE
    sequence_id = 0

    def next_parameters(self) -> "Any":
        """Return an empty dict, so that the script's own defaults apply."""
        return {}

    def report(self, kind: str, value: "Any") -> None:
        """Print the result."""
        name = "Intermediate" if kind == "PERIODICAL" else "Final"
        sys.stdout.write(f"[{time.strftime('%Y-%m-%d %H:%M:%S')}] {name} result: {value}  (no experiment is running)\n")
        sys.stdout.flush()


class ExperimentSession:
    """A trial of an experiment; everything comes from the environment and the trial directory (PLT-165 … PLT-178)."""

    def __init__(self, environment: "Mapping[str, str]") -> None:
        self._directory = environment["NNI_SYS_DIR"]
        self._doorbell = environment.get("NNI_DOORBELL")
        self.experiment_id = environment.get("NNI_EXP_ID", "")
        self.trial_id = environment["NNI_TRIAL_JOB_ID"]
        self.sequence_id = int(environment.get("NNI_TRIAL_SEQ_ID", "0"))
        self._parameter_id: int | None = None
        self._given = False
        self._sequence = {"PERIODICAL": 0, "FINAL": 0}
        self._spool: Spool | None = None

    def next_parameters(self) -> "Any":
        """Return the parameters on the first call and None afterwards (PLT-182)."""
        if self._given:
            return None
        self._given = True
        return self._read_configuration()["parameters"]

    def report(self, kind: str, value: "Any") -> None:
        """Append the result to the metric spool; returns when it is in the file."""
        if self._spool is None:
            path = os.path.join(self._directory, ".nni", "metrics")
            self._spool = Spool(path, self._doorbell, self.trial_id)
        if self._parameter_id is None:
            self._read_configuration()
        record = {
            "parameter_id": self._parameter_id,
            "trial_job_id": self.trial_id,
            "type": kind,
            "sequence": self._sequence[kind],
            "timestamp": time.time_ns() // 1_000_000,
            "value": value,
        }
        self._spool.append(to_json(record, value))
        self._sequence[kind] += 1

    def _read_configuration(self) -> "dict[str, Any]":
        # Read without `open`, whose text layer costs as much again as everything else here.
        file = os.open(os.path.join(self._directory, "parameter.cfg"), os.O_RDONLY)
        try:
            text = os.read(file, os.fstat(file).st_size).decode()
        finally:
            os.close(file)
        configuration: dict[str, Any] = decoder()(text)
        self._parameter_id = configuration["parameter_id"]
        return configuration


_encode: "Callable[[Any], str] | None" = None


def to_json(record: "dict[str, Any]", value: "Any") -> str:
    """Return a record as JSON; an error speaks of the `value` in it, which is the user's."""
    global _encode  # noqa: PLW0603  (made once, when the first result is reported)
    if _encode is None:
        _encode = encoder()
    try:
        return _encode(record)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(
            f"a metric must be a number, or something JSON can carry (normally a dict with the key 'default'); "
            f"got a {type(value).__name__}: {error}"
        ) from None


def open_session(environment: "Mapping[str, str] | None" = None) -> StandaloneSession | ExperimentSession:
    """Return the session that the environment describes: no ``NNI_PLATFORM``, no experiment."""
    variables = os.environ if environment is None else environment
    return ExperimentSession(variables) if variables.get("NNI_PLATFORM") else StandaloneSession()


class Lazy:
    """Opens the session at the first use, so that importing nni touches nothing."""

    def __init__(self, factory: "Callable[[], Session]" = open_session) -> None:
        self._factory = factory
        self._session: Session | None = None

    def get(self) -> "Session":
        """Return the session of this process."""
        if self._session is None:
            self._session = self._factory()
        return self._session

    def put(self, session: "Session") -> None:
        """Begin another trial in this process."""
        self._session = session
