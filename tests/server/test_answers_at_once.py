"""What keeps answers quick, where it can be checked without a clock."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from nni.server.process import _listening
from nni.store import Batch, Profile, Reader, Store, Trial, TrialStatus


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_answer_on_a_kept_connection_waits_for_no_acknowledgement(host: str):
    async def has_no_delay() -> int:
        found = asyncio.get_running_loop().create_future()

        def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted = writer.get_extra_info("socket")
            found.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with _listening(host, 0) as (listener,):
            port = listener.getsockname()[1]
            async with await asyncio.start_server(answer, sock=listener):
                _, writer = await asyncio.open_connection(host, port)
                kept = await found
                writer.close()
                await writer.wait_closed()
        return kept

    if host == "::1" and not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    assert asyncio.run(has_no_delay())


def test_trials_that_changed_are_found_without_reading_all_of_them(tmp_path: Path):
    path = tmp_path / "nni.sqlite"
    store = Store(path)
    rows = {
        number: Trial(f"t{number}", number, number, "algorithm", "{}", TrialStatus.SUCCEEDED, "", 1, 1, 2, 0, None, 0)
        for number in range(100)
    }
    store.commit(Batch(rows, [], [], Profile("many", {}, start_time=1, next_sequence=100)))
    reader = Reader(path)
    before = reader.revision()
    store.commit(Batch({7: rows[7]}, [], [], None))
    questions = list[str]()
    reader.number()  # opens the connection
    reader._local.store._connection.set_trace_callback(questions.append)
    assert [trial.sequence for trial in reader.trials(changed_after=before)] == [7]
    plan = store.query(f"EXPLAIN QUERY PLAN {questions[-1]}", []).fetchall()
    assert any("USING INDEX trial_by_change" in row[-1] for row in plan), plan
    reader.close()
    store.close()
