"""What a trial knows of itself (its ids, its parameters, where its results go), the metric spool, and their JSON.

One module, because each more costs every trial a sixth of a millisecond.

The metric spool is an append-only file that is the truth about what a trial reported. A record is one line, written by
a single system call, so that a reader never sees half of one as whole, a killed trial loses nothing it reported, and
several processes of one trial may report at once. The doorbell only wakes the manager; losing a ring loses no metric.

JSON comes without the module ``json``, whose import would be the dearest thing a small trial does. CPython has the
scanner and the encoder of ``json`` in C, and these need none of its Python parts. Where they are not to be had as
expected (another interpreter, a future version), ``json`` itself does the same.
"""

import os
import sys
import time

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
MAX_RECORD_BYTES = 1_000_000  # PLT-164
_DISK_FULL_PATIENCE = 60.0  # seconds a report waits for space before it gives up


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


class Spool:
    """Appends records to one trial's metric file and rings the manager's doorbell.

    Parameters
    ----------
    path
        The metric file, ``<trial directory>/.nni/metrics``; created when missing.
    doorbell
        Path of the manager's FIFO, or None.
    ring
        What to write into it: the trial id.
    """

    def __init__(self, path: str, doorbell: str | None, ring: str) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        self._doorbell = doorbell
        self._doorbell_file = -1
        self._ring = ring.encode() + b"\n"

    def append(self, record: str) -> None:
        """Write one record (JSON text without newlines) and ring.

        Raises
        ------
        ValueError
            The record is larger than 1 000 000 bytes.
        OSError
            It could not be written, for want of space after a minute's wait or at once for another reason.
        """
        line = record.encode() + b"\n"
        if len(line) > MAX_RECORD_BYTES:
            raise ValueError(
                f"the metric is {len(line):,} bytes as JSON, the limit is {MAX_RECORD_BYTES:,}: "
                "report a summary and save large data under NNI_OUTPUT_DIR"
            )
        self._lock(os.F_LOCK)
        try:
            self._write(line if self._ends_whole() else b"\n" + line)
        finally:
            self._lock(os.F_ULOCK)
        self._wake_manager()

    def _lock(self, command: int) -> None:
        """Keep other processes out: on a full disk a record is written in pieces, which must stay together."""
        try:
            os.lseek(self._file, 0, os.SEEK_SET)  # locks count from here
            os.lockf(self._file, command, 0)
        except OSError:  # a file system without locks: then one that also gets full may spoil a record
            pass

    def _ends_whole(self) -> bool:
        """Whether nobody was killed, or gave up, in the middle of a record."""
        size = os.lseek(self._file, 0, os.SEEK_END)
        return size == 0 or os.pread(self._file, 1, size - 1) == b"\n"

    def _write(self, line: bytes) -> None:
        deadline = 0.0
        while line:
            try:
                line = line[os.write(self._file, line) :]
            except OSError as error:
                import errno  # noqa: PLC0415  (most trials never come here)

                if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                    raise
                deadline = deadline or _announce_full_disk(self._path) + _DISK_FULL_PATIENCE
                if time.monotonic() > deadline:
                    message = "no space left to record a metric; free some space and run the trial again"
                    raise OSError(error.errno, message, self._path) from None
                time.sleep(0.5)

    def _wake_manager(self) -> None:
        if self._doorbell is None:
            return
        try:
            if self._doorbell_file < 0:
                # Read and write: then the trial never gets SIGPIPE from a manager that died.
                self._doorbell_file = os.open(self._doorbell, os.O_RDWR | os.O_NONBLOCK)
            os.write(self._doorbell_file, self._ring)
        except OSError:  # no manager, or it is busy and its pipe full: it will read the file anyway
            pass


def _announce_full_disk(path: str) -> float:
    message = f"nni: no space left on device for {path}; waiting up to {_DISK_FULL_PATIENCE:.0f} s\n"
    try:  # noqa: SIM105  (contextlib would cost every trial an import)
        os.write(2, message.encode())  # not sys.stderr, whose buffer would keep what cannot be written
    except OSError:  # it is most likely on the same disk
        pass
    return time.monotonic()


_CONSTANTS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class _ScannerSettings:
    """What the C scanner reads of a decoder; the defaults of ``json.loads``."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_CONSTANTS.__getitem__)


def _fast_encoder() -> "Callable[[Any], str]":
    from _json import encode_basestring_ascii, make_encoder  # noqa: PLC0415

    def dumps(value: "Any") -> str:
        # Markers (for circular references), default, strings, indent, separators, sort_keys, skipkeys, allow_nan.
        encode = make_encoder({}, _plain, encode_basestring_ascii, None, ":", ",", False, False, True)  # noqa: FBT003
        return "".join(encode(value, 0))

    if dumps({"a": [1.5, None]}) != '{"a":[1.5,null]}':
        raise TypeError("an unknown encoder")
    return dumps


def _fast_decoder() -> "Callable[[str], Any]":
    from _json import make_scanner  # noqa: PLC0415

    scan = make_scanner(_ScannerSettings)  # type: ignore[arg-type]  # typeshed does not know what it reads

    def loads(text: str) -> "Any":
        text = text.strip()
        try:
            value, end = scan(text, 0)
        except StopIteration:
            end = -1
        return value if end == len(text) else _slow_loads(text)  # which says what is wrong

    if loads(' {"a": [1.5, null]} ') != {"a": [1.5, None]}:
        raise TypeError("an unknown scanner")
    return loads


def _plain(value: "Any") -> "Any":
    from nni.common.plain import plain  # noqa: PLC0415  (most trials report numbers)

    return plain(value)


def _slow_dumps(value: "Any") -> str:
    import json  # noqa: PLC0415

    return json.dumps(value, default=_plain, separators=(",", ":"))


def _slow_loads(text: str) -> "Any":
    import json  # noqa: PLC0415

    return json.loads(text)


def encoder() -> "Callable[[Any], str]":
    """Return a function that writes compact JSON; NaN and infinities as Python's json writes them."""
    try:
        return _fast_encoder()
    except (ImportError, TypeError, AttributeError):
        return _slow_dumps


def decoder() -> "Callable[[str], Any]":
    """Return a function that reads JSON."""
    try:
        return _fast_decoder()
    except (ImportError, TypeError, AttributeError):
        return _slow_loads
