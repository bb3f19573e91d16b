"""Delivering alerts to where people see them: a webhook, a mailbox. Each place has a thread and a queue of its own.

A place that does not answer is tried again, ever more slowly, and holds up nobody but itself: what waits for it is
bounded, the oldest goes first, and the log says so. What was refused for good (an address that is none, a request that
the other side calls wrong) is not tried again. What waits lives in memory: on an orderly end it is given a few seconds;
a SIGKILL loses it, the records stay on their topic.
"""

from __future__ import annotations

import logging
import smtplib
import ssl
import threading
from collections import deque
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import httpx
import msgspec

from barnabas_quant.errors import QuantError
from barnabas_quant.processes import split_address
from barnabas_quant.settings import Alerts, Mail

log = logging.getLogger(__name__)

_LONGEST_PAUSE = 60.0  # seconds
_IN_ONE_MAIL = 50


class Notice(msgspec.Struct, frozen=True):
    """Hold what is delivered: the record as it stands on its topic, and what people read of it."""

    id: str
    """The record's place, `topic-partition-offset`: the same notice has the same id however often it comes."""
    subject: str
    text: str
    record: bytes


class Refused(QuantError):
    """Say why a delivery will never succeed."""


class Failed(QuantError):
    """Say why a delivery did not succeed this time."""


class Place:
    """Deliver to one place, in order."""

    name: str
    most = 1
    """Notices that are delivered at once, at most."""

    def __init__(self, settings: Alerts) -> None:
        self.settings = settings
        self.delivered = self.lost = 0
        self._waiting: deque[Notice] = deque()
        self._changed = threading.Condition()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"delivery {type(self).__name__}", daemon=True)

    def deliver(self, notices: Sequence[Notice]) -> None:
        """Deliver, or raise Refused or Failed."""
        raise NotImplementedError

    def start(self) -> None:
        self._thread.start()

    def put(self, notice: Notice) -> None:
        """Have a notice delivered; returns at once."""
        with self._changed:
            if len(self._waiting) >= self.settings.waiting:
                self._lose([self._waiting.popleft()], "too many wait")
            self._waiting.append(notice)
            self._changed.notify()

    def end(self, seconds: float) -> None:
        """Deliver what waits, for some seconds at most; what is left is said in the log."""
        with self._changed:
            self._ending.set()
            self._changed.notify()
        self._thread.join(seconds)
        with self._changed:
            if self._waiting:
                self._lose(list(self._waiting), "the service ends")
                self._waiting.clear()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ending.is_set())
                batch = [self._waiting.popleft() for _ in range(min(self.most, len(self._waiting)))]
            if not batch:
                return
            self._attempt(batch)

    def _attempt(self, batch: list[Notice]) -> None:
        pause = 1.0
        for number in range(1, self.settings.tries + 1):
            try:
                self.deliver(batch)
            except Refused as error:
                return self._lose(batch, str(error))
            except ValueError as error:  # the client's library cannot send it
                return self._lose(batch, f"{type(error).__name__}: {error}")
            except Failed as error:
                if number == self.settings.tries or self._ending.is_set():  # an end gives each one more try
                    return self._lose(batch, f"{error}; tried {number} times")
                log.warning("%s: %s; tried again in %g s", self.name, error, pause)
                self._ending.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self.delivered += len(batch)
                return None
        return None

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
            self._compose([Notice("", "", "", b"")])
        except (ValueError, IndexError) as error:  # IndexError: what the parser of addresses makes of some
            raise QuantError(f"alerts.mail: {error}") from error
        self.name = f"mail {self._host}"

    def deliver(self, notices: Sequence[Notice]) -> None:
        try:
            with self._connect() as server:
                if self._mail.user is not None and self._mail.password is not None:
                    server.login(self._mail.user, self._mail.password)
                server.send_message(self._compose(notices))
        except (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError) as error:
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


def places(settings: Alerts) -> list[Place]:
    """Make the places of the settings, not started yet. Raises QuantError where one is wrong."""
    found: list[Place] = [Webhook(settings, address) for address in settings.webhooks]
    if settings.mail is not None:
        found.append(MailBox(settings, settings.mail))
    return found
