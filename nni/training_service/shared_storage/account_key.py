"""The key of a storage account, looked up where the configuration has none (PLT-113)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nni.common.errors import NniError
from nni.common.programs import ask

if TYPE_CHECKING:
    from nni.config import AzureBlobConfig

_PATIENCE = 60.0  # seconds for the program


async def account_key(config: AzureBlobConfig) -> str:
    """
    Ask Azure's own program, as the user who is logged in with it.

    Raises
    ------
    NniError
        It is not there, or does not tell.
    """
    where = f"sharedStorage.storageAccountKey: the key of {config.storage_account_name} cannot be looked up"
    words = ["--resource-group", str(config.resource_group_name), "--account-name", str(config.storage_account_name)]
    command = ("az", "storage", "account", "keys", "list", *words, "--query", "[0].value", "--output", "tsv")
    try:
        answer = await ask(*command, patience=_PATIENCE)
    except FileNotFoundError:
        raise NniError(f"{where}: there is no program az here; give the key itself, or install Azure CLI") from None
    except asyncio.TimeoutError:
        raise NniError(f"{where}: az does not answer within {_PATIENCE:.0f} s") from None
    key = answer.output.strip()
    if answer.code != 0 or not key:
        said = answer.errors.strip().splitlines()
        raise NniError(f"{where}: {said[-1].removeprefix('ERROR: ') if said else 'az told none'}")
    return key
