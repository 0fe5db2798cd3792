"""The launchers of trials on other machines: the same as `local` has, with that machine's paths (PLT-165 … 179)."""

from __future__ import annotations

from pathlib import Path

from nni.training_service.base import TrialForm
from nni.training_service.pool.settings import PoolSettings
from nni.trial_runner.runner import DOORBELL
from nni.trial_runner.script import Launchers, TrialFiles
from nni.trial_runner.trial import CODE, OUTPUT


class Scripts:
    """Writes ``run.sh`` of trials.

    Parameters
    ----------
    settings
        The command, and what trials are told of the experiment.
    """

    def __init__(self, settings: PoolSettings) -> None:
        self._settings = settings

    def render(self, form: TrialForm, root: str, key: str, gpus: str | None, storage: Path | None = None) -> str:
        """
        Return a trial's ``run.sh``.

        Parameters
        ----------
        form
            The trial.
        root
            The runner's directory.
        key
            The runner's name for this run of the trial.
        gpus
            The devices it was given, as in ``CUDA_VISIBLE_DEVICES``; None where they are not scheduled.
        storage
            The experiment's directory on a shared storage, as that machine sees it.
        """
        settings = self._settings
        directory = Path(root) / "trials" / key
        place = None if storage is None else storage / "trials" / key
        code = place or directory / CODE
        variables = {
            "NNI_PLATFORM": settings.platform,
            "NNI_EXP_ID": settings.experiment_id,
            "NNI_CODE_DIR": str(code),
            "MULTI_PHASE": "false",
            "NNI_DOORBELL": str(Path(root) / DOORBELL),
            "NNI_SYS_DIR": str(directory),
            "NNI_TRIAL_JOB_ID": form.id,
            "NNI_OUTPUT_DIR": str((place or directory) / OUTPUT),
            "NNI_TRIAL_SEQ_ID": str(form.sequence_id),
        }
        if settings.gpu_number == 0:
            variables["CUDA_VISIBLE_DEVICES"] = ""
        elif gpus is not None:
            # The driver's numbers, which the indices are, are CUDA's only in this order.
            variables |= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": gpus}
        launchers = Launchers(settings.command, code, variables)
        return launchers.render(TrialFiles(directory), {})
