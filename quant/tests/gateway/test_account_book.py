"""The book of accounts, and the other parts that do no I/O."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import stat
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from barnabas_quant.bus.topics import ACCOUNTS, TOPICS
from barnabas_quant.errors import RecordError, SettingsError
from barnabas_quant.gateway.account_book import AccountBook
from barnabas_quant.gateway.attempts import OF_A_NAME, OF_AN_ADDRESS, REGISTRATIONS, WINDOW, Attempts, network_of
from barnabas_quant.gateway.operator_token import keep_token, token_file
from barnabas_quant.gateway.passwords import Passwords
from barnabas_quant.gateway.tenure import HELD_UP, SURE, Tenure
from barnabas_quant.gateway.web import TooMany
from barnabas_quant.model.account import Account, ApiKey, decode_account, encode_account, user_name
from barnabas_quant.settings import Gateway, Settings

SECRETS = ("one", "two", "three")


def api_key(id: str, secret: str) -> ApiKey:
    return ApiKey(id=id, name="k", hash=hashlib.sha256(secret.encode()).hexdigest(), created=1)


def account(user: str, *keys: ApiKey, sessions: int = 0) -> Account:
    return Account(user=user, role="user", password="$argon2id$x", created=1, sessions=sessions, keys=keys)


USERS = st.sampled_from(["anna", "ben", "carl"])
IDS = st.sampled_from(["00000000000a", "00000000000b"])  # few: two users with keys of one id
KEYS = st.builds(api_key, IDS, st.sampled_from(SECRETS))
GOOD = st.builds(
    lambda user, keys, sessions: (user.encode(), encode_account(account(user, *keys, sessions=sessions))),
    USERS, st.lists(KEYS, max_size=3), st.integers(0, 9),
)  # fmt: skip
ERASED = USERS.map(lambda user: (user.encode(), None))
REMOVED = USERS.map(
    lambda user: (user.encode(), encode_account(msgspec.structs.replace(account(user), password="", removed=7)))
)
NOISE = st.tuples(USERS.map(str.encode), st.binary(max_size=20))


@given(st.lists(GOOD | REMOVED | ERASED | NOISE, max_size=30))
def test_the_last_good_record_of_each_key_counts(records: list[tuple[bytes, bytes | None]]) -> None:
    book, last, removed = AccountBook(), dict[str, Account](), set[str]()
    for key, value in records:
        try:
            known = None if value is None else decode_account(key, value)
        except RecordError:
            with pytest.raises(RecordError):
                book.apply(key, value)
            continue
        book.apply(key, value)
        last.pop(key.decode(), None)
        removed.discard(key.decode())
        if known is not None and known.removed:
            removed.add(known.user)
        elif known is not None:
            last[known.user] = known
    assert book.all() == [last[user] for user in sorted(last)]
    assert len(book) == len(last)
    assert {user for user in ("anna", "ben", "carl") if book.was(user)} == removed
    for id in ("00000000000a", "00000000000b", "00000000000c"):
        for secret in SECRETS:
            holders = {one.user for one in last.values() if api_key(id, secret) in one.keys}
            found = book.holder(id, secret)
            assert (found.user in holders) if found else not holders


@given(st.permutations([b"anna", b"ben", b"carl"]), st.data())
def test_the_order_between_users_does_not_matter(order: list[bytes], data: st.DataObject) -> None:
    lists = {key: data.draw(st.lists(GOOD | REMOVED, max_size=4)) for key in order}
    books = []
    for keys in (order, sorted(order)):
        book = AccountBook()
        for key in keys:
            for one, value in lists[key]:
                if one == key:
                    book.apply(one, value)
        books.append(book.all())
    assert books[0] == books[1]


@pytest.mark.parametrize(("key", "value"), [(None, None), (None, b"{}"), (b"ben", encode_account(account("anna")))])
def test_a_record_under_no_key_or_another_users_is_refused(key: bytes | None, value: bytes | None) -> None:
    with pytest.raises(RecordError):
        AccountBook().apply(key, value)


def test_the_topic_is_kept_whole() -> None:
    assert ACCOUNTS in TOPICS
    assert (ACCOUNTS.partitions, ACCOUNTS.settings) == (1, {"cleanup.policy": "compact"})


def test_a_record_of_a_later_version_is_read() -> None:
    value = msgspec.json.encode(msgspec.to_builtins(account("anna")) | {"color": "blue"})
    assert decode_account(b"anna", value) == account("anna")


def test_names() -> None:
    assert user_name("Li.Lei-2_x") == "li.lei-2_x"
    for text in ("MAIN", "operator", "x", "9x", "", "x" * 33, "a\u0131b", "a\n"):
        with pytest.raises(ValueError, match="name"):
            user_name(text)


def refused(attempts: Attempts, user: str, address: str) -> bool:
    try:
        attempts.begin(user, address)
    except TooMany as error:
        assert 1 <= int(error.headers()["Retry-After"]) <= 60
        return True
    return False


def test_a_writer_that_was_held_up_is_none_until_it_is_sure() -> None:
    tenure = Tenure()
    assert not tenure.holds(0.0, 10**9)
    assert not tenure.look(0.0, False)
    assert tenure.look(0.1, True)
    tenure.begin(None)  # Kafka did not say it
    assert not tenure.holds(0.2, 10**9)
    assert tenure.look(0.2, True)
    tenure.begin(7)
    assert not tenure.look(0.3, True)
    assert not tenure.holds(0.3, 6)  # what the one before wrote is not all known
    assert tenure.holds(0.3, 7)
    assert not tenure.holds(0.3 + HELD_UP, 7)  # nobody has looked at the group meanwhile
    back = 0.3 + HELD_UP
    assert not tenure.look(back, True)  # it says what it last heard
    assert not tenure.holds(back, 7)
    for late in (1.0, 2.0, SURE - 0.1):
        assert not tenure.look(back + late, True)
    assert tenure.look(back + SURE, True)
    for give_up in (lambda: tenure.look(back + SURE, False), tenure.end):
        tenure.begin(9)
        assert tenure.holds(back + SURE, 9)
        give_up()
        assert not tenure.holds(back + SURE, 9)


def test_attempts_are_counted_and_forgotten() -> None:
    now = 1000.0
    attempts = Attempts(lambda: now)
    for n in range(OF_A_NAME):
        assert not refused(attempts, "anna", f"192.0.2.{n}")
        now += 1
    assert refused(attempts, "anna", "192.0.2.99")
    assert not refused(attempts, "ben", "192.0.2.0")
    now = 1060.5  # the first of the five is more than a minute ago
    assert not refused(attempts, "anna", "192.0.2.99")
    assert refused(attempts, "anna", "192.0.2.99")
    now = 2000.0
    for n in range(OF_AN_ADDRESS):
        assert not refused(attempts, f"name{n}", "192.0.2.1")
    assert refused(attempts, "another", "192.0.2.1")
    assert not refused(attempts, "another", "192.0.2.2")


def test_what_succeeds_is_taken_back() -> None:
    attempts = Attempts(lambda: 5.0)
    for _ in range(100):
        attempts.begin("anna", "192.0.2.1")()
    assert not refused(attempts, "anna", "192.0.2.1")


def test_new_users_from_one_address_are_counted() -> None:
    now = 5.0
    attempts = Attempts(lambda: now)
    for _ in range(REGISTRATIONS):
        attempts.register("192.0.2.1")
    with pytest.raises(TooMany):
        attempts.register("192.0.2.1")
    attempts.register("192.0.2.2")
    now += WINDOW
    attempts.register("192.0.2.1")


def test_attempts_are_bounded() -> None:
    attempts = Attempts(lambda: 5.0)
    for n in range(10_050):
        attempts.begin(f"name{n}", f"{n}")
    assert len(attempts._names._tries) == len(attempts._addresses._tries) == 10_000


def test_an_address_of_ipv6_is_a_whole_network() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") != network_of("2001:db8:0:1::1")
    assert network_of("192.0.2.1") != network_of("192.0.2.2")
    assert network_of("") == ""


async def _passwords() -> None:
    passwords = Passwords()
    hashed = await passwords.hash("grüße 密码")
    assert hashed.startswith("$argon2id$v=19$")
    assert await passwords.hash("grüße 密码") != hashed
    assert await passwords.verify(hashed, "grüße 密码")
    assert not await passwords.verify(hashed, "grüße")
    for no_hash in (None, "", "$argon2id$", "$argon2id$v=19$m=65536,t=3,p=4$AAAA$AAAA", "x"):
        assert not await passwords.verify(no_hash, "grüße 密码")
    assert not passwords.outdated(hashed)
    assert not passwords.outdated(passwords._nobody.result())  # or it would take another time
    assert passwords.outdated("$argon2id$v=19$m=1024,t=1,p=1$c29tZXNhbHQ$0q2Xn8mHG0TRFAqPjQcqlw")
    passwords.close()


def test_passwords() -> None:
    asyncio.run(_passwords())


def test_the_operators_token_is_made_once_for_its_owner_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(data=tmp_path)
    path = token_file(settings)
    assert path == tmp_path / "run" / "gateway.token"
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(keep_token(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1
    assert len(made[0]) == 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["gateway.token"]
    assert not caplog.records
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        assert keep_token(path) == made[0]
    assert "chmod 600" in caplog.text
    assert made[0] not in caplog.text
    for spoilt in ("", "short", "ü" * 40):
        path.write_text(spoilt)
        with pytest.raises(SettingsError, match="operator's token"):
            keep_token(path)
        assert path.read_text() == spoilt


def test_where_the_operators_token_stands(tmp_path: Path) -> None:
    assert token_file(Settings(data=tmp_path / "none")) is None
    own = tmp_path / "secrets" / "token"
    settings = Settings(data=tmp_path / "none", gateway=Gateway(operator_token_file=own))
    assert token_file(settings) == own
    assert keep_token(own) == own.read_text().strip()
