"""barnabas doctor: say step by step what is right or wrong with a connection to a Kafka cluster, and what helps.

Steps: the name resolves; the port answers; what answers speaks Kafka, over TLS or not, as the settings say; TLS and
SASL succeed; which APIs and features the broker has; and, for every broker, whether the address that it advertises
leads to it from here, which is what clients connect to after the first answer. Requests: ApiVersions, SaslHandshake,
SaslAuthenticate, Metadata. Nothing is written. Clocks are not compared: no answer of a broker tells its time.
The exit status is 0 only where everything is well.
"""

from __future__ import annotations

import argparse
import socket
import ssl
import time
from typing import Final, Literal

import msgspec

from barnabas.protocol.errors import BarnabasError, ErrorCode
from barnabas.protocol.messages.metadata import MetadataRequest, MetadataResponse, MetadataResponseBroker
from barnabas.protocol.messages.sasl_handshake import SaslHandshakeRequest
from barnabas.tools import probing
from barnabas.tools.client_keys import warn_unknown
from barnabas.tools.connection import Connection
from barnabas.tools.doctor_advice import (
    CERTIFICATE_ADVICE,
    advertising_advice,
    described,
    name_advice,
    port_advice,
    tls_advice,
)
from barnabas.tools.errors import AuthenticationFailed, ConfigError, ToolError
from barnabas.tools.settings import Settings, load_properties

State = Literal["ok", "note", "wrong"]
_SOON_DAYS: Final = 30
_PRODUCE, _FETCH, _METADATA, _DESCRIBE_QUORUM, _SASL_HANDSHAKE, _UPDATE_METADATA = 0, 1, 3, 55, 17, 6
#: an API and its version, and the first Apache Kafka to have it; the newest first
_SINCE: Final = ((78, 2, "4.2"), (1, 18, "4.1"), (1, 17, "3.9 or 4.0"), (1, 16, "3.7 or 3.8"), (1, 15, "3.5 or 3.6"))
_APIS_OF_KAFKA_4: Final = 60


class Finding(msgspec.Struct):
    """Hold what a step found. `advice`: what to do about it."""

    step: str
    state: State
    text: str
    advice: str = ""


class Doctor:
    """Look at one address after the other, and collect what is found."""

    def __init__(self, settings: Settings, findings: list[Finding]) -> None:
        self.settings = settings
        self.findings = findings

    def say(self, step: str, state: State, text: str, advice: str = "") -> None:
        """Add a finding."""
        self.findings.append(Finding(step, state, text, advice))

    def examine(self) -> None:
        """Examine every bootstrap address; what the cluster says of itself is asked once."""
        asked = False
        for host, port in self.settings.bootstrap:
            if not self._name(host, port) or not self._port(host, port) or not self._speaks(host, port):
                continue
            if self.settings.security_protocol.startswith("SASL") and not self._mechanisms(host, port):
                continue
            connection = self._connect(host, port)
            if connection is None or asked:
                continue
            try:
                self._software(connection)
                self._advertised(connection)
                asked = True
            except BarnabasError as e:
                self.say("metadata", "wrong", f"{host}:{port} does not say which brokers there are: {e}")
            finally:
                connection.close()

    # --- name and port --------------------------------------------------------------------------------------

    def _name(self, host: str, port: int) -> bool:
        found = probing.resolve(host, port)
        if isinstance(found, str):
            self.say("name", "wrong", f"{host} has no address: {found}", name_advice(host))
            return False
        self.say("name", "ok", f"{host} is {', '.join(f'{a} ({family})' for family, a in found)}")
        return True

    def _port(self, host: str, port: int) -> bool:
        found = probing.resolve(host, port)
        assert not isinstance(found, str)
        begun = time.monotonic()
        tried = [probing.knock(family, address, port) for family, address in found]
        took = (time.monotonic() - begun) * 1000
        bad = "; ".join(f"{a.host}: {a.problem}" for a in tried if a.problem)
        local = probing.is_local(a.host for a in tried)
        holders = probing.listeners(port) if local else []
        held = ", ".join(dict.fromkeys(x.process for x in holders if x.process))
        if all(a.problem for a in tried):
            self.say("port", "wrong", f"port {port} does not answer ({bad})", port_advice(tried, port, local, holders))
            return False
        text = f"port {port} answers in {took:.0f} ms"
        if held:
            text += f"; on this machine it belongs to {held}"
        if bad:
            text += f" (but not on every address: {bad})"
        self.say("port", "note" if bad else "ok", text)
        return True

    # --- TLS, Kafka -----------------------------------------------------------------------------------------

    def _speaks(self, host: str, port: int) -> bool:
        tls = self.settings.security_protocol.endswith("SSL")
        if tls and not self._handshake(host, port):
            return False
        who = probing.identify(host, port, self._context())
        if who.startswith("refusal"):
            self.say("TLS", "wrong", f"{host}:{port} refuses this client: {who[9:]}", CERTIFICATE_ADVICE)
            return False
        if who == "Kafka":
            self.say("protocol", "ok", f"Kafka answers{' behind TLS' if tls else ''}")
            return True
        if who == "TLS" and not tls:
            self.say(
                "protocol", "wrong", f"{host}:{port} speaks TLS, and the client does not",
                "Set security.protocol=SSL (or SASL_SSL) in the property file, and ssl.truststore.location to what the "
                "broker's certificate is checked against; give the file with --command-config.",
            )
            return False
        if who == "hangs up":
            text = f"{host}:{port} takes the connection and hangs up: that is no Kafka broker, or a proxy without one"
        elif who == "silence":
            text = f"{host}:{port} takes the connection and says nothing: that is no Kafka broker, or a stopped one"
        elif who.startswith("garbage"):
            text = f"{host}:{port} answers, but not as a Kafka broker does ({who})"
        else:
            text = f"{host}:{port} speaks {who}, not Kafka"
        advice = "Is the port right? Kafka's is 9092 unless `listeners` says otherwise."
        self.say("protocol", "wrong", text, f"{advice} {CERTIFICATE_ADVICE}" if tls and who == "hangs up" else advice)
        return False

    def _context(self) -> ssl.SSLContext | None:
        if not self.settings.security_protocol.endswith("SSL"):
            return None
        from barnabas.tools import security

        return security.prepare(self.settings).context

    def _handshake(self, host: str, port: int) -> bool:
        from barnabas.tools import security

        try:
            security.prepare(self.settings)
            sock = socket.create_connection((host, port), probing.PATIENCE)
        except ConfigError as e:
            self.say("TLS", "wrong", f"the settings cannot be used: {e}")
            return False
        except OSError as e:
            self.say("TLS", "wrong", f"{host}:{port}: {e}")
            return False
        try:
            with security.wrap(sock, host, self.settings) as wrapped:
                assert isinstance(wrapped, ssl.SSLSocket)
                self._certificate(wrapped)
                return True
        except BarnabasError as e:
            detail = (getattr(e, "detail", "") or str(e)).rstrip(".")
            shown = probing.certificate(host, port)
            if shown is None and probing.identify(host, port) == "Kafka":
                self.say(
                    "TLS", "wrong", f"{host}:{port} speaks Kafka without TLS, and the client expects TLS",
                    "Set security.protocol=PLAINTEXT (or SASL_PLAINTEXT), or use the port of a listener with TLS.",
                )
                return False
            advice = tls_advice(detail)
            about = described(shown)
            self.say("TLS", "wrong", f"{host}:{port}: {detail}" + (f". It shows {about}" if about else ""), advice)
            return False
        finally:
            sock.close()

    def _certificate(self, wrapped: ssl.SSLSocket) -> None:
        shown = wrapped.getpeercert() or {}
        names = ", ".join(str(pair[1]) for pair in shown.get("subjectAltName", ())) or "no names"
        until = str(shown.get("notAfter", ""))
        left = (ssl.cert_time_to_seconds(until) - time.time()) / 86_400 if until else 0.0
        text = f"{wrapped.version()}, {(wrapped.cipher() or ('?',))[0]}; the certificate is for {names}, issued by " \
               f"{_common_name(shown.get('issuer', ()))}, good until {until} ({left:.0f} days)"
        if not self.settings.text("ssl.endpoint.identification.algorithm", "https").strip():
            text += "; the host's name is not checked"
        if left < _SOON_DAYS:
            self.say("TLS", "note", text, "The certificate ends soon: have it renewed.")
        else:
            self.say("TLS", "ok", text)

    # --- SASL -----------------------------------------------------------------------------------------------

    def _mechanisms(self, host: str, port: int) -> bool:
        """Tell which mechanisms the listener offers (its answer to one that nobody has), and whether ours is there."""
        chosen = self.settings.text("sasl.mechanism", "GSSAPI")
        offered = _offered(host, port, self.settings)
        if offered is None:
            return True  # the connection itself says what is wrong
        text = f"the listener offers {', '.join(offered) or 'no mechanism'}"
        if chosen in offered:
            self.say("SASL", "ok", text)
        elif offered:
            self.say("SASL", "wrong", f"{text}; the client chooses {chosen}", f"Set sasl.mechanism={offered[0]}.")
        else:
            self.say("SASL", "wrong", f"{text}: it wants no log-in",
                     "Set security.protocol=PLAINTEXT, or SSL with TLS, or use the port of the listener with SASL.")
        return chosen in offered

    def _connect(self, host: str, port: int) -> Connection | None:
        secure = self.settings.security_protocol
        try:
            connection = Connection(host, port, self.settings, timeout=probing.PATIENCE)
            if not secure.startswith("SASL") and connection.supports(_METADATA):
                connection.request(MetadataRequest([], False), timeout=probing.PATIENCE)
        except AuthenticationFailed as e:
            advice = "Check user, password and mechanism in sasl.jaas.config; a SCRAM user is made with kafka-configs."
            if not secure.startswith("SASL"):
                advice = CERTIFICATE_ADVICE
            self.say("log-in", "wrong", f"{e}{f' ({e.detail})' if e.detail else ''}", advice)
            return None
        except ConfigError as e:
            self.say("log-in", "wrong", f"the settings cannot be used: {e}")
            return None
        except BarnabasError as e:
            offered = None if secure.startswith("SASL") else _offered(host, port, self.settings)
            if offered:
                self.say(
                    "log-in", "wrong", f"the listener wants a log-in with SASL, and the client does not: {e}",
                    f"Set security.protocol=SASL_{'SSL' if secure == 'SSL' else 'PLAINTEXT'}, sasl.mechanism (one of "
                    f"{', '.join(offered)}) and sasl.jaas.config.",
                )
            else:
                self.say("log-in", "wrong", str(e))
            return None
        if secure.startswith("SASL"):
            self.say("log-in", "ok", f"logged in with {self.settings.text('sasl.mechanism')}")
        return connection

    # --- the cluster ----------------------------------------------------------------------------------------

    def _software(self, connection: Connection) -> None:
        apis = connection.versions
        if _PRODUCE not in apis and _DESCRIBE_QUORUM in apis:
            self.say("software", "wrong", f"{len(apis)} APIs, but none for records: that is the port of a controller",
                     "Connect to a broker's port; for a controller tools have --bootstrap-controller.")
            return
        since = next((name for key, version, name in _SINCE if connection.supports(key, version)), "")
        if len(apis) < _APIS_OF_KAFKA_4 and _UPDATE_METADATA not in apis:
            like = "not Apache Kafka, which has more: Barnabas or another implementation"
        elif since:
            like = f"Apache Kafka {since}{' or later' if since == '4.2' else ''}, or the like"
        else:
            like = "an Apache Kafka before 3.5, or the like"
        self.say("software", "ok", f"{len(apis)} APIs (Produce to version {apis.get(_PRODUCE, (0, 0))[1]}, Fetch to "
                                   f"{apis.get(_FETCH, (0, 0))[1]}): {like}")
        levels = sorted((f.name, f.max_version_level) for f in connection.answer.finalized_features)
        if levels:
            self.say("features", "ok", ", ".join(f"{name} {_level(name, level)}" for name, level in levels))

    def _advertised(self, connection: Connection) -> None:
        if _PRODUCE not in connection.versions:
            return
        answer: MetadataResponse = connection.request(MetadataRequest([], False), timeout=probing.PATIENCE)
        if not answer.brokers:
            self.say("brokers", "wrong", "the cluster names no broker")
        elif answer.controller_id < 0:
            self.say("brokers", "note", "the cluster has no controller at the moment")
        for broker in sorted(answer.brokers, key=lambda b: b.node_id):
            problem = self._reach(broker, answer)
            at = f"{broker.host}:{broker.port}"
            if problem:
                self.say(
                    f"broker {broker.node_id}", "wrong", f"advertises {at}, which does not work from here: {problem}",
                    advertising_advice(broker.node_id, broker.host, broker.port, connection.host, connection.port),
                )
            else:
                self.say(f"broker {broker.node_id}", "ok", f"advertises {at}, which can be reached from here")

    def _reach(self, broker: MetadataResponseBroker, expected: MetadataResponse) -> str:
        """Return what is wrong with the address that a broker advertises."""
        found = probing.resolve(broker.host, broker.port)
        if isinstance(found, str):
            return f"the name {broker.host} has no address here ({found})"
        tried = [probing.knock(family, address, broker.port) for family, address in found]
        if all(a.problem for a in tried):
            return "; ".join(f"{a.host} port {broker.port}: {a.problem}" for a in tried)
        try:
            connection = Connection(broker.host, broker.port, self.settings, timeout=probing.PATIENCE)
        except BarnabasError as e:
            who = probing.identify(broker.host, broker.port, self._context())
            detail = getattr(e, "detail", "")
            return f"{e}{f' ({detail})' if detail else ''}{'' if who == 'Kafka' else f'; there answers {who}'}"
        try:
            there: MetadataResponse = connection.request(MetadataRequest([], False), timeout=probing.PATIENCE)
        except BarnabasError as e:
            return str(e)
        finally:
            connection.close()
        if there.cluster_id != expected.cluster_id:
            return f"there answers another cluster ({there.cluster_id}, not {expected.cluster_id})"
        return ""


# --- words --------------------------------------------------------------------------------------------------


def _offered(host: str, port: int, settings: Settings) -> list[str] | None:
    """Return the mechanisms that a listener offers; None where it cannot be asked."""
    bare = Settings(settings.properties)
    bare.security_protocol = "SSL" if settings.security_protocol.endswith("SSL") else "PLAINTEXT"
    try:
        connection = Connection(host, port, bare, timeout=probing.PATIENCE)
    except BarnabasError:
        return None
    try:
        if not connection.supports(_SASL_HANDSHAKE):
            return []
        answer = connection.request(SaslHandshakeRequest("?"), version=1, timeout=probing.PATIENCE)
        return [] if answer.error_code == ErrorCode.ILLEGAL_SASL_STATE else list(answer.mechanisms)
    except BarnabasError:
        return None
    finally:
        connection.close()


def _level(name: str, level: int) -> str:
    from barnabas.metadata.framing import METADATA_VERSIONS

    named = {value: text for text, value in METADATA_VERSIONS.items()}
    return f"{named[level]} ({level})" if name == "metadata.version" and level in named else str(level)


def _common_name(name: object) -> str:
    parts = [value for group in name for key, value in group if key == "commonName"] if isinstance(name, tuple) else []
    return str(parts[0]) if parts else "?"


# --- the command --------------------------------------------------------------------------------------------


def command(parsed: argparse.Namespace) -> int:
    """Examine a connection, print what was found; return 0 only where all is well."""
    findings: list[Finding] = []
    try:
        properties = load_properties(parsed.command_config) if parsed.command_config else {}
        warn_unknown(properties)
        Doctor(Settings(properties, parsed.address), findings).examine()
    except (ConfigError, ToolError) as e:
        findings.append(Finding("settings", "wrong", str(e), "An address is HOST:PORT, localhost:9092 for one."
                                if "bootstrap" in str(e) else ""))
    well = all(finding.state != "wrong" for finding in findings)
    if parsed.json:
        print(msgspec.json.format(msgspec.json.encode({"ok": well, "findings": findings})).decode())
    else:
        for finding in findings:
            print(_line(finding))
        print("All is well." if well else "Not all is well: see above.")
    return 0 if well else 1


def _line(finding: Finding) -> str:
    import textwrap

    sign = {"ok": "ok", "note": "note", "wrong": "WRONG"}[finding.state]
    lines = [f"{sign:<6}{finding.step:<10}{finding.text}"]
    for paragraph in finding.advice.splitlines():
        if paragraph.startswith(" "):
            lines.append(" " * 16 + paragraph)
        else:
            lines += textwrap.wrap(paragraph, 100, initial_indent=" " * 16, subsequent_indent=" " * 16)
    return "\n".join(lines)
