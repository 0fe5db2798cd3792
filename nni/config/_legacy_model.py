"""The schema of NNI 1.x: what is the same on all platforms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from nni.common import paths
from nni.config import _catalogue
from nni.config._errors import Fault, shown
from nni.config._fields import Count, Duration, GpuIndices, Json, Text, Word, optional, required
from nni.config._model import ConfigModel
from nni.config._wording import worded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def _path_as_written(value: Any) -> Any:
    if not isinstance(value, str):
        raise worded(f"expected a path, got {shown(value)}")
    paths.absolute(value)
    return value


Limited = Annotated[Count, Field(le=99999)]
"""A number that the old schema limits to 1…99999."""

WrittenPath = Annotated[str, BeforeValidator(_path_as_written)]
"""A path as it is written; what it is relative to is known when the current schema reads it."""

PLATFORM_OF_SECTION = {
    "localConfig": "local",
    "machineList": "remote",
    "remoteConfig": "remote",
    "paiConfig": "pai",
    "kubeflowConfig": "kubeflow",
    "frameworkcontrollerConfig": "frameworkcontroller",
    "amlConfig": "aml",
    "dltsConfig": "dlts",
}


def class_path(file: str | None, name: str | None) -> str | None:
    """Return ``module.Class`` for a file and a class in it; None if they cannot be imported, or are not given."""
    if not file or not name or not file.endswith(".py"):
        return None
    parts = [*file.removesuffix(".py").split("/"), name]
    return ".".join(parts) if all(part.isidentifier() for part in parts) else None


class LegacyAlgorithm(ConfigModel):
    """A tuner, assessor or advisor: a built-in one, or a class of the user's own (PLT-130…132, HPO-180…186)."""

    code_dir: WrittenPath | None = optional("Directory of the class.")
    class_file_name: Text | None = optional("Its file, relative to codeDir.")
    class_name: Text | None = optional("The class.")
    class_args: dict[str, Any] = optional("Arguments for the constructor.", {})

    # The text of the reference calls it by the name of the current schema (HPO X-24).
    _other_names: ClassVar[Mapping[str, str]] = {"codeDirectory": "code_dir"}
    _builtin: ClassVar[str] = ""

    def _faults(self) -> Iterator[Fault]:
        kind = self._builtin.removeprefix("builtin_").removesuffix("_name")
        builtin = f"builtin{kind.capitalize()}Name"
        custom = {"codeDir": self.code_dir, "classFileName": self.class_file_name, "className": self.class_name}
        given = [name for name, value in custom.items() if value is not None]
        if getattr(self, self._builtin) is not None:
            yield from (Fault((name,), f"is for a class of yours; give either it or {builtin}") for name in given)
        elif not given:
            yield Fault((builtin,), f"required, or codeDir, classFileName and className for {kind} of yours")
        else:
            yield from (Fault((name,), f"required with {given[0]}") for name in custom if name not in given)
        yield from self._class_faults()

    def _class_faults(self) -> Iterator[Fault]:
        if self.class_file_name and class_path(self.class_file_name, "Mine") is None:
            given = shown(self.class_file_name)
            yield Fault(
                ("classFileName",), f"expected a Python file that can be imported, such as 'my.py', got {given}"
            )
        if self.class_name and not self.class_name.isidentifier():
            yield Fault(
                ("className",), f"expected the name of a class alone, such as 'Mine', got {shown(self.class_name)}"
            )


class LegacyTuner(LegacyAlgorithm):
    """The tuner, with what the dispatcher as a whole is told (PLT-133, 134)."""

    builtin_tuner_name: Text | None = optional("Name of a built-in or registered tuner.")
    gpu_indices: GpuIndices | None = optional("The GPUs visible to it; absent: none.")
    include_intermediate_results: bool | None = optional(
        "Whether the last intermediate result of a trial that the assessor stops counts as its final one."
    )

    _builtin: ClassVar[str] = "builtin_tuner_name"


class LegacyAssessor(LegacyAlgorithm):
    """The assessor."""

    builtin_assessor_name: Text | None = optional("Name of a built-in or registered assessor.")

    _builtin: ClassVar[str] = "builtin_assessor_name"


class LegacyAdvisor(LegacyAlgorithm):
    """The advisor; tuner and assessor beside it are ignored (PLT-360)."""

    builtin_advisor_name: Text | None = optional("Name of a built-in or registered advisor.")
    gpu_indices: GpuIndices | None = optional("The GPUs visible to it; absent: none.")

    _builtin: ClassVar[str] = "builtin_advisor_name"


class LegacyConfig(ConfigModel):
    """
    An experiment in the schema of NNI 1.x (PLT-114…129), with that schema's defaults.

    This class stands for an unknown platform; the subclasses in `_legacy_platforms` know their `trial` and sections.
    """

    author_name: Text | None = optional("Who made the experiment.")
    experiment_name: Text = required("Name to recognise the experiment by.", "mnist")
    trial_concurrency: Limited = required("How many trials run at the same time.", 2)
    max_exec_duration: Duration = optional("When to stop creating trials.", "999d")
    max_trial_num: Limited = optional("How many trials to create.", 99999)
    max_trial_duration: Duration = optional("When to stop a running trial.", "999d")
    training_service_platform: Annotated[
        Literal["local", "remote", "pai", "kubeflow", "frameworkcontroller", "adl", "aml", "dlts"], Word
    ] = required("Where trials run.", "local")
    search_space_path: WrittenPath | None = optional("File with the search space; required without useAnnotation.")
    use_annotation: bool | None = optional("Whether the search space is written as annotations in the trial code.")
    multi_thread: bool | None = optional("Whether the dispatcher has a thread for each command.")
    version_check: bool | None = optional("Whether trial runners must have the manager's version.")
    debug: bool | None = optional("Whether to log verbosely.")
    nni_manager_ip: Text | None = optional("Address of this machine.")
    log_dir: WrittenPath | None = optional("Directory for logs and data.")
    log_level: Annotated[Literal["trace", "debug", "info", "warning", "error", "fatal"], Word] | None = optional(
        "What to log."
    )
    log_collection: Annotated[Literal["none", "http"], Word] | None = optional("How logs of trials come back.")
    tuner: LegacyTuner | None = optional("The tuner; required without an advisor.")
    assessor: LegacyAssessor | None = optional("The assessor.")
    advisor: LegacyAdvisor | None = optional("The advisor; instead of tuner and assessor.")
    trial: Json = required("What a trial is.", "{command: python3 mnist.py, codeDir: .}")
    local_config: Json | None = optional("Only for platform local.")
    machine_list: Json | None = optional("Only for platform remote.")
    remote_config: Json | None = optional("Only for platform remote.")
    pai_config: Json | None = optional("Only for platform pai.")
    kubeflow_config: Json | None = optional("Only for platform kubeflow.")
    frameworkcontroller_config: Json | None = optional("Only for platform frameworkcontroller.")
    aml_config: Json | None = optional("Only for platform aml.")
    dlts_config: Json | None = optional("Only for platform dlts.")
    shared_storage: Json | None = optional("Storage that all machines mount; the same in both schemas.")

    moves: ClassVar[Mapping[str, str]] = {}
    """Where the keys of the platform go: path in this schema, path in ``trainingService``."""

    dropped: ClassVar[Mapping[str, str]] = {}
    """Keys of the platform that the current schema has no place for, and why."""

    def service(self) -> dict[str, Any]:
        """Return what ``trainingService`` holds beside `moves`: paths in it, and values."""
        return {}

    def command(self) -> tuple[str, str | None]:
        """Return where the command of a trial is, and the command."""
        return "trial.command", getattr(self.trial, "command", None)

    def _faults(self) -> Iterator[Fault]:
        tuner = self.tuner.builtin_tuner_name if self.tuner else None
        has_none = self.search_space_path is None and not self.use_annotation
        if has_none and (self.advisor is not None or _catalogue.needs_search_space("tuner", tuner)):
            yield Fault(("searchSpacePath",), "required, unless useAnnotation is true")
        if self.tuner is None and self.advisor is None:
            yield Fault(("tuner",), "required, such as 'builtinTunerName: TPE', or an advisor")
        yield from self._foreign_sections()

    def _foreign_sections(self) -> Iterator[Fault]:
        platform = self.training_service_platform
        for name, field in type(self).model_fields.items():
            owner = PLATFORM_OF_SECTION.get(field.alias or name, platform)
            if platform is not None and owner != platform and not _is_blank(getattr(self, name)):
                yield Fault((field.alias or name,), f"is for trainingServicePlatform: {owner} only, not for {platform}")


def _is_blank(value: Any) -> bool:
    """Say whether nothing is filled in, as in the documentation's own templates (`machineList` for local)."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return value is None if parts is None else all(map(_is_blank, parts))
