"""The environments keep the contract; and the messages to their runners survive any cut."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nni.trial_runner
from nni.testing.environment import EnvironmentConformance
from nni.training_service.pool import Environment, ProcessSite
from nni.training_service.pool.archive import COMMON, archive
from nni.trial_runner import protocol as p


class TestProcessEnvironment(EnvironmentConformance):
    def make(self, directory: Path) -> Environment:
        (directory / "home").mkdir(exist_ok=True)
        return ProcessSite("far", directory / "home", "CONFORM1").environment("")


@pytest.mark.slow
@pytest.mark.requires_module("asyncssh")
class TestSshEnvironment(EnvironmentConformance):
    @pytest.fixture(autouse=True)
    def _server(self, ssh_servers: Callable[..., Any]) -> None:
        self.server = ssh_servers()
        self.server.trust()
        self.sites: list[Any] = []

    def make(self, directory: Path) -> Environment:
        from nni.training_service.remote import Login
        from nni.training_service.remote.site import SshSite

        login = Login("127.0.0.1", self.server.port, self.server.user, key_file=self.server.key)
        self.sites.append(SshSite(login, "CONFORM1", self.server.python_path))
        return self.sites[-1].environment("")

    async def let_go(self) -> None:
        for site in self.sites:
            await site.close()


messages = st.lists(
    st.one_of(
        st.builds(p.Metrics, st.text(), st.integers(0), st.integers(0), st.binary()),
        st.builds(p.Text, st.text(), st.just("stderr"), st.integers(0), st.binary()),
        st.builds(p.Start, *[st.text()] * 4, st.booleans(), *[st.integers(0)] * 3),
        st.builds(p.Ended, st.text(), st.none() | st.integers(), st.integers(), st.text(), st.integers(0)),
        st.builds(p.Look),
    )
)


@given(messages, st.lists(st.integers(1, 50)))
def test_messages_come_out_as_they_went_in_however_they_are_cut(sent: list[p.Message], cuts: list[int]):
    data = b"".join(map(p.encode, sent))
    decoder, received = p.Decoder(), []
    for size in cuts:
        received += decoder.feed(data[:size])
        data = data[size:]
    received += decoder.feed(data)
    assert received == sent


@pytest.mark.parametrize(
    "data", [b"hello\n", b"[]\n", b'{"type":"Nope"}\n', b'{"type":"Stop"}\n', b'{"type":"Look","bytes":"x"}\n']
)
def test_what_is_not_the_protocol_is_refused(data: bytes):
    with pytest.raises(p.ProtocolError):
        p.Decoder().feed(data)


def test_the_runner_is_python_3_8_and_needs_the_standard_library_only():
    import sys

    folder = Path(nni.trial_runner.__file__).parent
    allowed = sys.stdlib_module_names | {f"nni.common.{name.removesuffix('.py')}" for name in COMMON}
    for path in [*folder.glob("*.py"), *(folder.parent / "common" / name for name in COMMON)]:
        tree = ast.parse(path.read_text(), feature_version=(3, 8))
        for node in ast.walk(tree):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                is_ours = name.startswith("nni.trial_runner")
                assert is_ours or name in allowed or name.partition(".")[0] in allowed, name


def test_the_archive_is_the_same_for_the_same_modules():
    assert archive() == archive()
    assert len(archive()) < 50_000
