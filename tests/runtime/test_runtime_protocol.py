"""Messages as lines, and the documented ``send``."""

import json
import math
import os
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nni.common.errors import NniError
from nni.runtime._channel import GONE, Channel, ChannelClosedError, lines
from nni.runtime.protocol import CommandType, Message, connect, continue_ids_from, decode, encode, send

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


class Sent:
    """Takes what is sent, as the channel does."""

    def __init__(self):
        self.messages = []

    def send(self, lines):
        self.messages += [decode(line) for line in lines.splitlines()]


@pytest.fixture
def sent():
    sender = Sent()
    connect(sender)
    yield sender.messages
    connect(None)


@given(st.sampled_from(CommandType), json_values)
def test_message_survives_its_line(command, data):
    line = encode(command, data)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == Message(command, data)


def test_nan_and_infinity_survive():
    nan, infinity = decode(encode(CommandType.ImportData, [math.nan, -math.inf])).data
    assert math.isnan(nan)
    assert infinity == -math.inf


@given(st.lists(st.floats(width=32, allow_nan=False) | st.integers(-(2**31), 2**31 - 1)))
def test_numpy_values_arrive_as_what_they_are_worth(values):
    data = {"array": np.array(values), "scalars": [np.float64(v) for v in values], "zero_d": np.array(7)}
    plain = decode(encode(CommandType.NewTrialJob, data)).data
    assert plain == {"array": np.array(values).tolist(), "scalars": [float(v) for v in values], "zero_d": 7}


@pytest.mark.parametrize("line", [b"", b"nonsense", b"[]", b"{}", b'"Setup"', b'{"type": "Nothing"}'])
def test_anything_else_is_no_message(line):
    with pytest.raises(ValueError):
        decode(line)


class TestSend:
    def test_object_and_json_text_are_both_trial_jobs(self, sent):
        job = {"parameter_id": 42, "parameters": {"lr": 0.1}}
        send(CommandType.NewTrialJob, job)
        send(CommandType.NewTrialJob, json.dumps(job))
        assert sent == [(CommandType.NewTrialJob, job), (CommandType.NewTrialJob, json.dumps(job))]

    @pytest.mark.parametrize("identifier", ["AbC12", '"AbC12"'])
    def test_trial_to_kill_is_named_plainly_or_as_json(self, sent, identifier):
        send(CommandType.KillTrialJob, identifier)
        assert sent == [(CommandType.KillTrialJob, "AbC12")]

    @pytest.mark.parametrize("identifier", ["1234", "1e5", "null", "true"])
    def test_trial_id_that_looks_like_json_stays_text(self, sent, identifier):
        send(CommandType.KillTrialJob, identifier)
        assert sent == [(CommandType.KillTrialJob, identifier)]

    @pytest.mark.parametrize("data", ["{}", "[]", "7", '{"parameter_id": 1}', {"parameters": {}}, None])
    def test_incomplete_trial_job_is_refused(self, sent, data):
        with pytest.raises(ValueError, match="NewTrialJob: missing parameter"):
            send(CommandType.NewTrialJob, data)
        assert sent == []

    def test_ids_go_on_after_a_resume(self, sent):
        continue_ids_from(10)
        send(CommandType.NewTrialJob, {"parameter_id": 1, "parameters": {}})
        send(CommandType.NewTrialJob, '{"parameter_id": 2, "parameters": {}}')
        assert sent[0].data["parameter_id"] == 11
        assert json.loads(sent[1].data)["parameter_id"] == 12

    def test_outside_a_dispatcher_nobody_listens(self):
        with pytest.raises(NniError, match=r"send\(NoMoreTrialJobs\): this process is no dispatcher"):
            send(CommandType.NoMoreTrialJobs)


@pytest.fixture
def pair():
    ours, theirs = os.pipe()
    yield ours, theirs
    os.close(ours)


@given(st.lists(st.binary().map(lambda b: b.replace(b"\n", b"")), max_size=20), st.data())
def test_lines_are_the_same_however_they_arrive(wanted, data):
    text = b"".join(line + b"\n" for line in wanted)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=10)))
    ours, theirs = os.pipe()
    got = []
    reader = threading.Thread(target=lambda: got.extend(lines(ours)))
    reader.start()
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        os.write(theirs, text[start:end])
    os.close(theirs)
    reader.join()
    os.close(ours)
    assert got == wanted


def test_last_line_without_its_end_is_dropped(pair):
    ours, theirs = pair
    os.write(theirs, b"whole\nhalf")
    os.close(theirs)
    assert list(lines(ours)) == [b"whole"]


class TestChannel:
    @pytest.fixture
    def peer(self):
        import socket

        ours, theirs = socket.socketpair()
        channel = Channel(theirs.detach())
        ours.settimeout(30)
        yield ours, channel
        ours.close()
        channel.close()

    def test_messages_wait_until_somebody_takes_them(self, peer):
        ours, channel = peer
        ended = threading.Event()
        channel.start(lambda last: ended.set())
        ours.sendall(encode(CommandType.Initialize, 1) + encode(CommandType.RequestTrialJobs, 2))
        ours.sendall(encode(CommandType.Terminate))
        assert ended.wait(30)
        heard = []
        channel.deliver_to(lambda command, data: heard.append((command, data)))
        assert heard == [
            (CommandType.Initialize, 1),
            (CommandType.RequestTrialJobs, 2),
            (CommandType.Terminate, None),
        ]

    def test_end_of_file_stands_for_terminate(self, peer):
        ours, channel = peer
        heard, ended = [], threading.Event()
        channel.deliver_to(lambda command, data: heard.append((command, data)))
        channel.start(lambda last: ended.set())
        ours.shutdown(2)
        assert ended.wait(30)
        assert heard == [(CommandType.Terminate, GONE)]

    def test_sending_to_nobody_says_so(self, peer):
        ours, channel = peer
        ours.shutdown(2)
        ours.close()
        with pytest.raises(ChannelClosedError, match="the manager closed the channel"):
            channel.send(b"x\n")

    def test_large_message_passes_in_whole(self, peer):
        ours, channel = peer
        message = encode(CommandType.Initialize, "x" * 5_000_000)
        thread = threading.Thread(target=ours.sendall, args=(message,))
        thread.start()
        assert channel.receive() == (CommandType.Initialize, "x" * 5_000_000)
        thread.join()

    def test_lines_of_several_threads_do_not_mix(self, peer):
        ours, channel = peer
        line = b"y" * 300_000 + b"\n"
        threads = [threading.Thread(target=channel.send, args=(line,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        with ours.makefile("rb") as file:
            assert [file.readline() for _ in threads] == [line] * 4
        for thread in threads:
            thread.join()
