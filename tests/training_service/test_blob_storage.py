"""Azure Blob storage that nobody mounts on the manager's machine, against a real server of its API."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nni.common.errors import NniError
from nni.config import AzureBlobConfig
from nni.training_service.pool.code_image import CodeImage
from nni.training_service.shared_storage import SharedStorage

EXPERIMENT = "ABCDEFGH"


@pytest.fixture
def container(azurite: Any) -> Any:
    return azurite.container(f"nni-{uuid.uuid4().hex[:12]}")


@pytest.fixture
def make(azurite: Any, container: Any, tmp_path: Path) -> Callable[..., SharedStorage]:
    def make(**changes: str) -> SharedStorage:
        told = {
            "local_mount_point": str(tmp_path / "never-mounted"),
            "remote_mount_point": "./blob",
            "local_mounted": "nomount",
            "storage_account_name": azurite.account,
            "storage_account_key": azurite.key,
            "container_name": container.container_name,
            "blob_endpoint": azurite.endpoint,
            **changes,
        }
        return SharedStorage(EXPERIMENT, tmp_path, AzureBlobConfig(**told))

    return make


@pytest.fixture
def code(tmp_path: Path) -> CodeImage:
    directory = tmp_path / "code"
    (directory / "package").mkdir(parents=True)
    (directory / "trial.py").write_text("print('hello')\n")
    (directory / "package" / "empty.py").touch()
    return CodeImage(directory)


async def test_the_code_directory_is_uploaded_with_the_mark_of_the_experiment(
    make: Callable[..., SharedStorage], container: Any, code: CodeImage
):
    storage = make()
    await storage.open(code)
    root = f"nni/{EXPERIMENT}"
    names = {blob.name: blob.size for blob in container.list_blobs()}
    place = f"{root}/code/{code.code.digest[:16]}"
    assert names == {f"{root}/.nni-storage": 32, f"{place}/trial.py": 15, f"{place}/package/empty.py": 0}
    assert container.download_blob(f"{root}/.nni-storage").readall().decode() == storage.message.token
    assert storage.message.is_marked
    await storage.close()


async def test_a_manager_that_comes_back_has_the_same_mark_and_sends_nothing_twice(
    make: Callable[..., SharedStorage], container: Any, code: CodeImage
):
    first, second = make(), make()
    await first.open(code)
    before = {blob.name: blob.etag for blob in container.list_blobs() if "/code/" in blob.name}
    await second.open(code)
    assert second.message == first.message
    assert {blob.name: blob.etag for blob in container.list_blobs() if "/code/" in blob.name} == before
    await first.close()
    await second.close()


async def test_what_a_trial_left_is_downloaded_where_outputs_are_looked_for(
    make: Callable[..., SharedStorage], container: Any, code: CodeImage, tmp_path: Path
):
    storage = make()
    await storage.open(code)
    assert storage.fetches
    root = f"nni/{EXPERIMENT}/trials/t0/nnioutput"
    container.upload_blob(f"{root}/model/weights.bin", b"\0\1" * 1000)
    container.upload_blob(f"{root}/note.txt", b"")
    container.upload_blob(f"{root}/model", b"", metadata={"hdi_isfolder": "true"})
    container.upload_blob(f"nni/{EXPERIMENT}/trials/t01/nnioutput/other.txt", b"another trial's")
    assert await storage.fetch("t0", "t0") == []
    outputs = tmp_path / "trials" / "t0" / "nnioutput"
    found = {path.relative_to(outputs).as_posix(): path.stat().st_size for path in outputs.rglob("*") if path.is_file()}
    assert found == {"model/weights.bin": 2000, "note.txt": 0}
    await storage.close()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"storage_account_key": "d3Jvbmc="}, "the key is not accepted (storageAccountKey)"),
        ({"storage_account_key": "no base64"}, "the key is not accepted (storageAccountKey)"),
        ({"container_name": "there-is-none"}, "there is no such container (containerName)"),
    ],
)
async def test_a_storage_that_cannot_be_had_is_told_in_a_sentence(
    make: Callable[..., SharedStorage], code: CodeImage, changes: dict[str, str], expected: str
):
    with pytest.raises(NniError) as caught:
        await make(**changes).open(code)
    assert str(caught.value).startswith("sharedStorage: AzureBlob devstoreaccount1/")
    assert str(caught.value).endswith(expected)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
async def test_a_server_that_is_away_is_told_and_not_waited_for(make: Callable[..., SharedStorage], code: CodeImage):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{probe.getsockname()[1]}/devstoreaccount1"
        with pytest.raises(NniError, match="the server cannot be reached"):
            await make(blob_endpoint=away).open(code)


async def test_a_key_that_is_to_be_looked_up_needs_the_program_for_it(
    make: Callable[..., SharedStorage], code: CodeImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    storage = make(resource_group_name="group")
    storage._config.storage_account_key = None  # type: ignore[attr-defined]
    with pytest.raises(NniError, match="there is no program az here; give the key itself"):
        await storage.open(code)


async def test_a_key_is_looked_up_with_the_program_of_azure(
    make: Callable[..., SharedStorage], azurite: Any, code: CodeImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    program = tmp_path / "az"
    wanted = f"storage account keys list --resource-group group --account-name {azurite.account}"
    wanted += " --query [0].value --output tsv"
    program.write_text(
        f'#!/bin/sh\n[ "$*" = "{wanted}" ] && echo "{azurite.key}" || {{ echo "ERROR: $*" >&2; exit 2; }}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    storage = make(resource_group_name="group")
    storage._config.storage_account_key = None  # type: ignore[attr-defined]
    await storage.open(code)
    assert storage.message.source["key"] == azurite.key
    await storage.close()
