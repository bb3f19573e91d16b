"""Tests of the suite runner itself: what it reads from other people's output, and that it leaves no process behind."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import threading
import time
from pathlib import Path

import kafka_scripts
import kgo
import librdkafka
import pytest
from harness import Finished, Options, SuiteError, built_once, run_limited, run_suite, step
from kafka_python import parse_junit
from results import Expectations, Note, Outcome, Result, Run, SuiteRun, passes_only_there, report, table

HERE = Path(__file__).parent


def finished(tmp_path: Path, text: str, code: int | None = 0) -> Finished:
    log = tmp_path / "log"
    log.write_text(text)
    return Finished(code, 1.5, log)


def test_time_limit_ends_a_process_and_its_children(tmp_path: Path) -> None:
    code = (
        "import os, time, subprocess; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); time.sleep(600)"
    )
    ended = run_limited([sys.executable, "-c", code], log=tmp_path / "log", limit=2, cwd=tmp_path)
    assert ended.code is None
    child = int(ended.text())
    deadline = time.monotonic() + 30
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not alive(child)


def alive(process: int) -> bool:
    # A zombie, which its new parent has not collected yet, counts as ended.
    stat = Path(f"/proc/{process}/stat")
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        os.kill(process, 0)
        return not Path("/proc/self/stat").exists() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def test_exit_code_and_output_are_kept(tmp_path: Path) -> None:
    ended = run_limited([sys.executable, "-c", "print('said'); exit(3)"], log=tmp_path / "log", limit=60, cwd=tmp_path)
    assert (ended.code, ended.text().strip(), ended.ending()) == (3, "said", "exit code 3")


def test_a_failed_build_step_names_its_last_lines_and_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="no such header"), built_once(tmp_path / "suite") as missing:
        assert missing
        step([sys.executable, "-c", "print('no such header'); exit(1)"], cwd=tmp_path, log=tmp_path / "log")
    with built_once(tmp_path / "suite") as missing:
        assert missing
    with built_once(tmp_path / "suite") as missing:
        assert not missing


class Flaky:
    """A suite whose one test fails the first time."""

    name, version, parallel = "flaky", "1", True

    def __init__(self) -> None:
        self.runs = 0

    def prepare(self, cache: Path) -> None:
        pass

    def tests(self, options: Options) -> list[str]:
        return ["once"]

    def left_out(self) -> list[Result]:
        return []

    def run(self, test: str, address: str, log: Path, options: Options) -> list[Result]:
        self.runs += 1
        return [Result(test, Outcome.PASSED if self.runs > 1 else Outcome.FAILED)]


@pytest.mark.parametrize(("retries", "outcome", "attempts"), [(0, Outcome.FAILED, 1), (1, Outcome.PASSED, 2)])
def test_a_failed_test_runs_again_as_often_as_asked(
    tmp_path: Path, retries: int, outcome: Outcome, attempts: int
) -> None:
    run = SuiteRun("flaky", "1")
    run_suite(Flaky(), "127.0.0.1:1", tmp_path, Options(retries=retries), ["once"], run)
    assert [(result.outcome, result.attempts) for result in run.results] == [(outcome, attempts)]


GO_OUTPUT = """\
=== RUN   TestGroupETL
=== RUN   TestGroupETL/range
    helpers_test.go:870: got key 3 != exp 4
    helpers_test.go:923: deleting group 65f
=== RUN   TestGroupETL/sticky/848
--- FAIL: TestGroupETL (3.10s)
    --- FAIL: TestGroupETL/range (1.00s)
    --- PASS: TestGroupETL/sticky/848 (2.00s)
FAIL
"""


def test_go_sub_tests_stand_for_their_parent() -> None:
    results = kgo.parse_go("TestGroupETL", GO_OUTPUT, 1, 3.2, "exit code 1")
    assert [(result.name, result.outcome, result.seconds) for result in results] == [
        ("TestGroupETL/range", Outcome.FAILED, 1.0),
        ("TestGroupETL/sticky/848", Outcome.PASSED, 2.0),
    ]
    assert results[0].detail == "helpers_test.go:870: got key 3 != exp 4"


@pytest.mark.parametrize(
    ("text", "code", "detail"),
    [
        ("=== RUN   TestPing\npanic: test timed out after 1m0s\n", 2, "panic: test timed out after 1m0s"),
        ("=== RUN   TestPing\n", None, "time limit of 60 s"),
        ("--- FAIL: TestPing (0.01s)\npanic: no broker\n", 2, "panic: no broker"),
        ("--- PASS: TestPing (0.01s)\npanic: close of nil channel\n", 2, "panic: close of nil channel"),
    ],
)
def test_go_without_a_good_ending_is_a_failure(text: str, code: int | None, detail: str) -> None:
    last = kgo.parse_go("TestPing", text, code, 60.0, "time limit of 60 s")[-1]
    assert (last.name, last.outcome, last.detail) == ("TestPing", Outcome.FAILED, detail)


def test_go_broker_tests_are_those_that_call_a_helper() -> None:
    source = (
        "func TestA(t *testing.T) {\n\tcl, _ := newTestClient()\n}\n\n"
        "func TestB(t *testing.T) {\n\tif x {\n\t}\n}\n\n"
        "func TestC(t *testing.T) {\n\tgroup, cleanup := tmpShareGroup(t)\n}\n"
    )
    assert kgo.broker_tests(source) == ["TestA", "TestC"]


C_TABLE = """\
struct test tests[] = {
    {.name = "<MAIN>", .flags = TEST_F_LOCAL},
    _TEST(0000_unittests,
          TEST_F_LOCAL,
          /* heavy on CPU, */
          _THRES(.ucpu = 100.0, .rss = 900.0)),
    _TEST(0001_multiobj, 0),
    _TEST(0018_cgrp_term, 0, TEST_BRKVER(0, 9, 0, 0)),
    _TEST(0028_long_topicnames,
          TEST_F_KNOWN_ISSUE,
          TEST_BRKVER(0, 9, 0, 0),
          .extra = "see there"),
#if WITH_SOCKEM
    _TEST(0049_consume_conn_close, TEST_F_SOCKEM, TEST_BRKVER(0, 9, 0, 0)),
#endif
    _TEST(0055_producer_latency, TEST_F_KNOWN_ISSUE_WIN32),
    _TEST(0103_transactions,
          0,
          .scenario = "default,ak23"),
    _TEST(0107_topic_recreate,
          0,
          .scenario = "noautocreate"),
    _TEST(0139_offset_validation_mock, 0),

    /* Manual tests */
    _TEST(8000_idle, TEST_F_MANUAL),

    {NULL}};
"""


def test_librdkafka_table_says_which_tests_need_one_broker() -> None:
    table_ = dict(librdkafka.parse_table(C_TABLE))
    assert [name for name, why in table_.items() if not why] == [
        "0001_multiobj",
        "0018_cgrp_term",
        "0055_producer_latency",
        "0103_transactions",
    ]
    assert table_["0107_topic_recreate"] == "needs a broker of the scenario noautocreate"
    assert len(table_) == 10


PASSED_LINES = """\
\x1b[36m[0012_produce_consume / 1.627s] 0012_produce_consume: duration 1627.343ms
\x1b[0m\x1b[36m[0012_produce_consume / 1.627s] \x1b[32m======== Test 0012_produce_consume PASSED ========
"""
FAILED_LINES = """\
\x1b[36m[0012_produce_consume / 38.6s] TEST FAILURE
\x1b[0m\x1b[31m### Test "0012_produce_consume (do_x:3: with (10ms))" failed at 0012.c:142:verify() at Sat Nov 21: ###
Expected 5, not 4
\x1b[36m[<MAIN> / 39.273s] TEST FAILURE
### Test "<MAIN>" failed at test.c:2121:main() at Sat Nov 21: ###
1 test(s) failed, see previous errors
"""
SKIPPED_LINES = "[0012_produce_consume        /  0.000s] WARN: SKIPPING TEST: needs SASL\n"


@pytest.mark.parametrize(
    ("text", "code", "outcome", "detail"),
    [
        (PASSED_LINES, 0, Outcome.PASSED, ""),
        (FAILED_LINES, -6, Outcome.FAILED, "do_x:3: with (10ms): Expected 5, not 4"),
        (SKIPPED_LINES, 0, Outcome.SKIPPED, "needs SASL"),
        (PASSED_LINES, -6, Outcome.FAILED, "passed, then signal 6"),
        ("nothing", None, Outcome.FAILED, "no verdict: time limit of 2 s"),
    ],
)
def test_librdkafka_log(tmp_path: Path, text: str, code: int | None, outcome: Outcome, detail: str) -> None:
    result = librdkafka.parse_log("0012_produce_consume", finished(tmp_path, text, code))
    assert (result.outcome, result.detail) == (outcome, detail)


def test_librdkafka_takes_the_test_s_own_duration(tmp_path: Path) -> None:
    assert librdkafka.parse_log("0012_produce_consume", finished(tmp_path, PASSED_LINES)).seconds == 1.63


def test_librdkafka_tests_of_one_number_have_verdicts_of_their_own(tmp_path: Path) -> None:
    text = PASSED_LINES + FAILED_LINES.replace("0012_produce_consume", "0012_b")
    ended = finished(tmp_path, text, -6)
    verdicts = [librdkafka.parse_log(name, ended) for name in ("0012_produce_consume", "0012_b", "0012_c")]
    assert [result.outcome for result in verdicts] == [Outcome.PASSED, Outcome.FAILED, Outcome.FAILED]
    assert verdicts[2].detail == "no verdict: signal 6"


@pytest.mark.parametrize(
    ("body", "outcome", "detail"),
    [
        ("", Outcome.PASSED, ""),
        ('<failure message="assert 1 == 2&#10;more"/>', Outcome.FAILED, "assert 1 == 2"),
        ('<skipped message="no codec"/>', Outcome.SKIPPED, "no codec"),
    ],
)
def test_junit(tmp_path: Path, body: str, outcome: Outcome, detail: str) -> None:
    verdict = tmp_path / "junit.xml"
    verdict.write_text(
        f'<testsuites><testsuite><testcase name="t" time="0.25">{body}</testcase></testsuite></testsuites>'
    )
    result = parse_junit("t", verdict, finished(tmp_path, ""))
    assert (result.outcome, result.detail, result.seconds) == (outcome, detail, 0.25)


def test_a_test_that_wrote_no_junit_failed(tmp_path: Path) -> None:
    assert parse_junit("t", tmp_path / "none.xml", finished(tmp_path, "", 4)).detail == "exit code 4"


def suite_run(**outcomes: Outcome) -> SuiteRun:
    return SuiteRun("s", "1", 2.0, [Result(name, outcome, 0.5, "why") for name, outcome in outcomes.items()])


def test_a_run_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    run = Run("127.0.0.1:1", {"s": suite_run(a=Outcome.PASSED, b=Outcome.SKIPPED)})
    run.save(tmp_path / "run.json")
    assert Run.load(tmp_path / "run.json") == run


def test_comparison_counts_what_passes_there_only() -> None:
    here = suite_run(a=Outcome.PASSED, b=Outcome.FAILED, c=Outcome.SKIPPED, d=Outcome.FAILED)
    there = suite_run(a=Outcome.PASSED, b=Outcome.PASSED, c=Outcome.PASSED, d=Outcome.FAILED, e=Outcome.PASSED)
    pairs = passes_only_there(here, there)
    assert [theirs.name for theirs, _ in pairs] == ["b", "c", "e"]
    expected = Expectations((Note("s", ("c",), "r", needs=("acls",)), Note("s", ("e",), "r", apache="flaky")))
    runs = [Run("here", {"s": here}), Run("there", {"s": there})]
    assert report(runs, expected, frozenset({"acls"}))[1] == 1
    text, bad = report(runs, expected, frozenset())
    assert bad == 2
    assert report(runs[:1], expected, frozenset())[1] == 2
    assert "REGRESSION: s b: passes on there, failed on here" in text
    assert "not counted: s e: passes on there, not run on here" in text


def test_table_has_a_line_for_each_suite() -> None:
    lines = table([Run("here", {"s": suite_run(a=Outcome.PASSED)}), Run("there")]).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[2] == ["s", "1", "1", "0", "0", "2", "-", "-", "-", "-"]


def test_expectations_speak_of_tests_that_exist() -> None:
    expected = Expectations.load(HERE / "expected.toml")
    recorded = Run.load(HERE / "apache-kafka-4.3.json")
    for note in expected.notes:
        names = [(suite, name) for suite, run in recorded.suites.items() for name in run.by_name()]
        assert any(note.matches(suite, name) for suite, name in names), note


def test_recording_fails_only_where_a_note_says_so() -> None:
    expected = Expectations.load(HERE / "expected.toml")
    for suite, run in Run.load(HERE / "apache-kafka-4.3.json").suites.items():
        for result in run.results:
            said = {note.apache for note in expected.of(suite, result.name)}
            if result.outcome is Outcome.FAILED:
                assert said & {"fails", "flaky"}, result
            if result.outcome is Outcome.PASSED:
                assert not said & {"fails", "skips"}, result


def one_answer(answer: bytes) -> tuple[str, list[bytes], threading.Thread]:
    # A listener that takes one request and gives one answer: the bytes on the wire are what is tested.
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []

    def serve() -> None:
        with listener, listener.accept()[0] as connection, connection.makefile("rb") as requests:
            seen.append(requests.read(struct.unpack(">i", requests.read(4))[0]))
            connection.sendall(struct.pack(">i", len(answer)) + answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return f"127.0.0.1:{listener.getsockname()[1]}", seen, thread


def test_kafka_topics_script_reports_the_broker_s_error(capsys: pytest.CaptureFixture[str]) -> None:
    answer = struct.pack(">iii", 1, 0, 1) + b"\x00\x02ab" + struct.pack(">hh", 40, 3) + b"bad"
    address, seen, thread = one_answer(answer)
    script = ["kafka-topics.sh", "--bootstrap-server", address, "--create", "--topic", "ab"]
    code = kafka_scripts.main([*script, "--partitions", "2", "--replication-factor", "1", "--config", "k=v"])
    thread.join()
    assert (code, capsys.readouterr().err) == (1, "kafka-topics.sh ab: error 40: bad\n")
    body = b"\x00\x00\x00\x01\x00\x02ab\x00\x00\x00\x02\x00\x01\x00\x00\x00\x00"
    body += b"\x00\x00\x00\x01\x00\x01k\x00\x01v\x00\x00\x75\x30\x00"
    assert seen == [b"\x00\x13\x00\x04\x00\x00\x00\x01\x00\x0dkafka-scripts" + body]


@pytest.mark.parametrize(
    ("change", "who", "operation", "key", "end"),
    [
        ("--add", "--deny-principal", "All", b"\x00\x1e", b"\x02\x02"),
        ("--remove", "--allow-principal", "Describe", b"\x00\x1f", b"\x08\x03"),
    ],
)
def test_kafka_acls_script(change: str, who: str, operation: str, key: bytes, end: bytes) -> None:
    address, seen, thread = one_answer(struct.pack(">iiihh", 1, 0, 1, 0, -1))
    script = ["kafka-acls.sh", "--bootstrap-server", address, change, who, "User:*", "--operation", operation]
    code = kafka_scripts.main([*script, "--topic", "t"])
    thread.join()
    assert code == 0
    assert seen[0].startswith(key)
    assert seen[0].endswith(b"\x00\x00\x00\x01\x02\x00\x01t\x03\x00\x06User:*\x00\x01*" + end)
