"""Delivering alerts to where people see them: a webhook, a mailbox. Each place has a thread and a queue of its own.

A place that does not answer is tried again, ever more slowly, and holds up nobody but itself: what waits for it is
bounded, the oldest goes first, and the log says so. Only one that is well is waited for, a moment, when too much comes
at once. What was refused for good (an address that is none, a request that the other side calls wrong) is not tried
again.

What waits lives in memory, and on its topic: a place says which offsets wait for it (`held`), and whoever reads the
topic commits nothing beyond them. So what an end or a SIGKILL leaves undelivered is read and delivered again.
"""

from __future__ import annotations

import logging
import smtplib
import ssl
import threading
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from hashlib import blake2b
from itertools import islice

import httpx
import msgspec

from barnabas_quant.errors import QuantError
from barnabas_quant.processes import split_address
from barnabas_quant.settings import Alerts, Mail

log = logging.getLogger(__name__)

_LONGEST_PAUSE = 60.0  # seconds
_IN_ONE_MAIL = 50
_PATIENCE = 0.5  # seconds that a place which is well is waited for, at a notice, where too many wait


class Notice(msgspec.Struct, frozen=True):
    """Hold what is delivered: the record as it stands on its topic, and what people read of it."""

    topic: str
    partition: int
    offset: int
    subject: str
    text: str
    record: bytes

    @property
    def id(self) -> str:
        """Give the record's place: the same notice has the same id however often it comes."""
        return f"{self.topic}-{self.partition}-{self.offset}"


class Refused(QuantError):
    """Say why a delivery will never succeed."""


class Failed(QuantError):
    """Say why a delivery did not succeed this time."""


class Place:
    """Deliver to one place, in order."""

    name: str
    """What the log calls it."""
    key: str
    """What it is known by through restarts: letters and digits that tell nothing of a secret in its address."""
    most = 1
    """Notices that are delivered at once, at most."""

    def __init__(self, settings: Alerts) -> None:
        self.settings = settings
        self.delivered = self.lost = 0
        self._waiting: dict[str, Notice] = {}  # by id, the oldest first, those that are on their way among them
        self._sending = 0  # how many of the first are on their way
        self._well = True  # whether the last try was none that failed
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"delivery {type(self).__name__}", daemon=True)

    def deliver(self, notices: Sequence[Notice]) -> None:
        """Deliver, or raise Refused or Failed."""
        raise NotImplementedError

    def start(self) -> None:
        self._thread.start()

    def put(self, notice: Notice) -> None:
        """Have a notice delivered; returns at once, or after a moment in which a place that is well makes room.

        One that waits already is not taken twice.
        """
        with self._changed:
            if notice.id in self._waiting:
                return
            if self._is_full():
                self._changed.wait_for(lambda: not (self._is_full() and self._well), _PATIENCE)
            if self._is_full():
                oldest = next(islice(self._waiting, self._sending, None))
                self._lose([self._waiting.pop(oldest)], "too many wait")
            self._waiting[notice.id] = notice
            self._changed.notify_all()

    def held(self) -> dict[tuple[str, int], int]:
        """Give the first offset of each partition that is neither delivered nor given up."""
        found: dict[tuple[str, int], int] = {}
        with self._changed:
            for notice in self._waiting.values():
                at = notice.topic, notice.partition
                found[at] = min(found.get(at, notice.offset), notice.offset)
        return found

    def _is_full(self) -> bool:
        return len(self._waiting) - self._sending >= self.settings.waiting

    def end(self, seconds: float) -> None:
        """Deliver what waits, for some seconds at most; what is left is said in the log, and still held."""
        with self._changed:
            self._ending.set()
            self._changed.notify_all()
        self._thread.join(seconds)
        if left := self.held():
            log.warning("%s: not delivered before the end, but after the next start: from %s on", self.name, left)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ending.is_set())
                batch = list(islice(self._waiting.values(), self.most))
                self._sending = len(batch)
            if not batch or not self._attempt(batch):
                return
            with self._changed:
                for notice in batch:
                    del self._waiting[notice.id]
                self._sending = 0
                self._changed.notify_all()

    def _attempt(self, batch: list[Notice]) -> bool:
        """Deliver, or give up; False where the end came first: an end gives what is on its way one more try."""
        pause = 1.0
        for number in range(1, self.settings.tries + 1):
            try:
                self.deliver(batch)
            except Refused as error:
                self._lose(batch, str(error))
                return True
            except ValueError as error:  # the client's library cannot send it
                self._lose(batch, f"{type(error).__name__}: {error}")
                return True
            except Failed as error:
                self._found(well=False)
                if self._ending.is_set():
                    log.warning("%s: %s", self.name, error)
                    return False
                if number == self.settings.tries:
                    self._lose(batch, f"{error}; tried {number} times")
                    return True
                log.warning("%s: %s; tried again in %g s", self.name, error, pause)
                self._ending.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self._found(well=True)
                self.delivered += len(batch)
                return True
        return True

    def _found(self, well: bool) -> None:
        with self._changed:
            self._well = well
            self._changed.notify_all()

    def _lose(self, notices: Sequence[Notice], why: str) -> None:
        self.lost += len(notices)
        log.error("%s: not delivered: %s: %s", self.name, ", ".join(notice.id for notice in notices), why)


class Webhook(Place):
    """POST each record, as JSON, to an address. Its header Idempotency-Key is the record's place."""

    def __init__(self, settings: Alerts, address: str) -> None:
        """Raises QuantError where the address is none."""
        super().__init__(settings)
        try:
            url = httpx.URL(address)
        except httpx.InvalidURL as error:
            raise QuantError(f"alerts.webhooks: {error}: {address}") from error
        if url.scheme not in ("http", "https") or not url.host:
            raise QuantError(f"alerts.webhooks: not an address of http or https: {address}")
        self._address = address
        self.name = f"webhook {url.host}"  # the path may hold a secret
        self.key = key_of("webhook", address)
        self._client = httpx.Client(timeout=settings.seconds, trust_env=False)

    def deliver(self, notices: Sequence[Notice]) -> None:
        for notice in notices:
            headers = {"content-type": "application/json", "idempotency-key": notice.id}
            try:
                answer = self._client.post(self._address, content=notice.record, headers=headers)
            except httpx.HTTPError as error:
                raise Failed(f"{type(error).__name__}: {error}") from error
            if answer.status_code in (408, 429) or answer.status_code >= 500:
                raise Failed(f"it answers {answer.status_code}")
            if not answer.is_success:
                raise Refused(f"it answers {answer.status_code}")


class MailBox(Place):
    """Send an e-mail of all that waits."""

    most = _IN_ONE_MAIL

    def __init__(self, settings: Alerts, mail: Mail) -> None:
        """Raises QuantError where the server's address, the sender or a recipient is none."""
        super().__init__(settings)
        self._mail = mail
        try:
            self._host, self._port = split_address(mail.server)
            self._compose([Notice("", 0, 0, "", "", b"")])
        except (ValueError, IndexError) as error:  # IndexError: what the parser of addresses makes of some
            raise QuantError(f"alerts.mail: {error}") from error
        self.name = f"mail {self._host}"
        self.key = key_of("mail", mail.server, mail.sender, *mail.to)

    def deliver(self, notices: Sequence[Notice]) -> None:
        try:
            with self._connect() as server:
                if self._mail.user is not None and self._mail.password is not None:
                    server.login(self._mail.user, self._mail.password)
                server.send_message(self._compose(notices))
        except smtplib.SMTPNotSupportedError as error:
            raise Refused(f"{type(error).__name__}: {error}") from error
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPResponseException) as error:
            codes = (
                [code for code, _ in error.recipients.values()]
                if isinstance(error, smtplib.SMTPRecipientsRefused)
                else [error.smtp_code]
            )
            kind = Refused if all(500 <= code < 600 for code in codes) else Failed
            raise kind(f"{type(error).__name__}: {error}") from error
        except (smtplib.SMTPException, OSError) as error:
            raise Failed(f"{type(error).__name__}: {error}") from error

    def _connect(self) -> smtplib.SMTP:
        seconds = self.settings.seconds
        if self._mail.tls == "off":
            return smtplib.SMTP(self._host, self._port, timeout=seconds)
        authorities = self._mail.certificates
        context = ssl.create_default_context(cafile=None if authorities is None else str(authorities))
        if self._mail.tls == "tls":
            return smtplib.SMTP_SSL(self._host, self._port, timeout=seconds, context=context)
        server = smtplib.SMTP(self._host, self._port, timeout=seconds)
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
        return server

    def _compose(self, notices: Sequence[Notice]) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._mail.sender
        message["To"] = ", ".join(self._mail.to)
        more = f" (and {len(notices) - 1} more)" if len(notices) > 1 else ""
        # What stands in a record is of others: a line break in it must not begin another header.
        message["Subject"] = " ".join(notices[0].subject.split())[:200] + more
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain="barnabas-quant.invalid")
        message.set_content("\n\n".join(notice.text for notice in notices))
        return message


def key_of(*parts: str) -> str:
    """Give the key of a place: the same address has the same one."""
    return blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()


def places(settings: Alerts) -> list[Place]:
    """Make the places of the settings, not started yet. Raises QuantError where one is wrong."""
    found: list[Place] = [Webhook(settings, address) for address in dict.fromkeys(settings.webhooks)]
    if settings.mail is not None:
        found.append(MailBox(settings, settings.mail))
    return found
