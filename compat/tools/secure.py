#!/usr/bin/env python3
"""Put kafka-topics with the same property files to Java's tool and to ours, on an Apache Kafka with TLS and SASL; and
kafka-delegation-tokens, whose tokens log in then.

    compat/tools/secure.py [--port PORT] [--only WORD] [--show]

Makes certificates (cryptography, openssl) and stores (keytool), starts an Apache Kafka of its own with a listener for
each security protocol, gives a user SCRAM passwords, and compares status, standard output and the reason that is given.
What Java's tool can connect to, librdkafka must be able to connect to with our translation of the same file, too. "own
words" marks what Java leaves to a time-out: ours must fail, too, and say why. The commands on delegation tokens stand
in `cases-tokens`, and are compared as `fourway.py` does.
"""

from __future__ import annotations

import argparse
import datetime
import ipaddress
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID
from fourway import HERE, Java, show
from transcript import Case, differ, ours, play, read

from barnabas.tools.librdkafka import librdkafka_config
from barnabas.tools.settings import Settings

PEER = HERE.parent / "peers" / "apache_kafka.py"
RUN = "secure"
MODULES = "org.apache.kafka.common.security"
PLAIN = MODULES + '.plain.PlainLoginModule required username="{}" password="{}";'
SCRAM = MODULES + '.scram.ScramLoginModule required username="{}" password="{}";'
BEARER = MODULES + '.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="alice";'
PASSWORD = 'a "pass" \\ word'
QUOTED = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')


class Trial(NamedTuple):
    """Hold a connection to try: the listener, the properties, whether the words are ours."""

    name: str
    listener: str
    properties: dict[str, str]
    own_words: bool = False
    host: str = "localhost"


# --- certificates -------------------------------------------------------------------------------------------


class Authority:
    """Be a certificate authority."""

    def __init__(self, name: str) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key, [], authority=True)

    def _sign(self, name: x509.Name, key: rsa.RSAPrivateKey, hosts: list[str], *, authority: bool = False
              ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder().subject_name(name).issuer_name(self.name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if hosts:
            names: list[x509.GeneralName] = [
                x509.IPAddress(ipaddress.ip_address(h)) if h[0].isdigit() else x509.DNSName(h) for h in hosts
            ]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, name: str, hosts: list[str]) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
        """Return a key and its certificate."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return key, self._sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, hosts)


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def pem_key(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def keytool(*words: str) -> None:
    done = subprocess.run(["keytool", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"keytool {' '.join(words)}: {done.stdout}{done.stderr}")


def make_stores(folder: Path) -> None:
    """Write all stores that the trials name."""
    authority, stranger = Authority("test authority"), Authority("somebody else")
    (folder / "ca.pem").write_text(pem(authority.certificate))
    (folder / "stranger.pem").write_text(pem(stranger.certificate))
    for name in ("ca", "stranger"):
        for suffix, kind in (("jks", "JKS"), ("p12", "PKCS12")):
            keytool("-importcert", "-noprompt", "-alias", name, "-file", str(folder / f"{name}.pem"), "-keystore",
                    str(folder / f"{name}.{suffix}"), "-storepass", "trust-password", "-storetype", kind)
    for name, hosts in (("server", ["localhost"]), ("client", [])):
        key, certificate = authority.issue(name, hosts)
        (folder / f"{name}.p12").write_bytes(pkcs12.serialize_key_and_certificates(
            name.encode(), key, certificate, [authority.certificate],
            serialization.BestAvailableEncryption(b"store-password"),
        ))
        (folder / f"{name}.pem").write_text(pem_key(key) + pem(certificate))
        locked = subprocess.run(  # the newer PBES2 is beyond Java 17
            ["openssl", "pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES", "-passout", "pass:key-password"],
            input=pem_key(key), capture_output=True, text=True, check=True,
        )
        (folder / f"{name}-locked.pem").write_text(locked.stdout + pem(certificate))
        keytool("-importkeystore", "-srckeystore", str(folder / f"{name}.p12"), "-srcstorepass", "store-password",
                "-destkeystore", str(folder / f"{name}.jks"), "-deststoretype", "JKS", "-deststorepass",
                "store-password", "-destkeypass", "key-password", "-srcalias", name)


# --- trials -------------------------------------------------------------------------------------------------


def escaped(text: str) -> str:
    """Write a value for a property file."""
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def trials(folder: Path) -> list[Trial]:
    trust = {"ssl.truststore.location": f"{folder}/ca.jks", "ssl.truststore.password": "trust-password"}
    tls = {"security.protocol": "SSL", **trust}
    only = {"security.protocol": "SSL"}
    ca, client = (folder / "ca.pem").read_text(), (folder / "client.pem").read_text()
    locked = (folder / "client-locked.pem").read_text()

    def key_store(name: str, kind: str = "JKS", password: str | None = "store-password", **more: str) -> dict[str, str]:
        found = {**tls, "ssl.keystore.location": f"{folder}/{name}", "ssl.keystore.type": kind}
        if password is not None:
            found["ssl.keystore.password"] = password
        return found | {key.replace("_", "."): value for key, value in more.items()}

    def sasl(mechanism: str, jaas: str | None, **more: str) -> dict[str, str]:
        found = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism}
        if jaas is not None:
            found["sasl.jaas.config"] = jaas
        return found | {key.replace("_", "."): value for key, value in more.items()}

    def trusting(name: str, kind: str, password: str | None = "trust-password") -> dict[str, str]:
        found = {**only, "ssl.truststore.location": f"{folder}/{name}", "ssl.truststore.type": kind}
        return found if password is None else {**found, "ssl.truststore.password": password}

    alice = ("alice", QUOTED)
    return [
        Trial("TLS, JKS", "SSL", tls),
        Trial("TLS, PKCS12", "SSL", trusting("ca.p12", "PKCS12")),
        Trial("TLS, PKCS12 called JKS", "SSL", trusting("ca.p12", "JKS")),
        Trial("TLS, JKS without its password", "SSL", trusting("ca.jks", "JKS", None)),
        Trial("TLS, PEM file", "SSL", trusting("ca.pem", "PEM", None)),
        Trial("TLS, PEM text", "SSL", {**only, "ssl.truststore.type": "PEM", "ssl.truststore.certificates": ca}),
        Trial("untrusted", "SSL", only),
        Trial("untrusted, JKS", "SSL", trusting("stranger.jks", "JKS")),
        Trial("untrusted, PKCS12", "SSL", trusting("stranger.p12", "PKCS12")),
        Trial("untrusted, PEM", "SSL", trusting("stranger.pem", "PEM", None)),
        Trial("wrong host name", "SSL", tls, host="127.0.0.1"),
        Trial("wrong host name, not checked", "SSL", {**tls, "ssl.endpoint.identification.algorithm": ""},
              host="127.0.0.1"),
        Trial("wrong password, JKS", "SSL", {**tls, "ssl.truststore.password": "wrong"}),
        Trial("wrong password, PKCS12", "SSL", trusting("ca.p12", "PKCS12", "wrong")),
        Trial("no such file", "SSL", trusting("none.jks", "JKS")),
        Trial("no such type", "SSL", trusting("ca.jks", "FOO")),
        Trial("not a JKS", "SSL", trusting("ca.pem", "JKS")),
        Trial("PEM with a password", "SSL", trusting("ca.pem", "PEM")),
        Trial("PEM without certificates", "SSL", {**only, "ssl.truststore.type": "PEM",
                                                  "ssl.truststore.certificates": "hello"}),
        Trial("PEM text with another type", "SSL", {**only, "ssl.truststore.certificates": ca}),
        Trial("PEM text and file", "SSL", {**trusting("ca.pem", "PEM", None), "ssl.truststore.certificates": ca}),
        Trial("trust password alone", "SSL", {**only, "ssl.truststore.password": "a"}),
        Trial("old protocol", "SSL", {**tls, "ssl.enabled.protocols": "TLSv1.2", "ssl.protocol": "TLSv1.2"}),
        Trial("unknown protocol", "SSL", {**tls, "ssl.protocol": "TLSv1.9"}),
        Trial("unknown enabled protocol", "SSL", {**tls, "ssl.enabled.protocols": "TLSv1.9"}, True),
        Trial("suite", "SSL", {**tls, "ssl.cipher.suites": "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"}),
        Trial("suite of TLS 1.3", "SSL", {**tls, "ssl.cipher.suites": "TLS_AES_256_GCM_SHA384"}),
        Trial("unknown suite", "SSL", {**tls, "ssl.cipher.suites": "TLS_NONE"}, True),
        Trial("TLS to a plain listener", "PLAINTEXT", tls),
        Trial("plain to a TLS listener", "SSL", {}),
        Trial("client certificate, JKS", "CERT", key_store("client.jks", ssl_key_password="key-password")),
        Trial("client certificate, PKCS12", "CERT", key_store("client.p12", "PKCS12")),
        Trial("client certificate, PEM file", "CERT", key_store("client.pem", "PEM", None)),
        Trial("client certificate, locked PEM file", "CERT",
              key_store("client-locked.pem", "PEM", None, ssl_key_password="key-password")),
        Trial("client certificate, PEM text", "CERT", {
            **tls, "ssl.keystore.type": "PEM", "ssl.keystore.key": client, "ssl.keystore.certificate.chain": client}),
        Trial("client certificate, locked PEM text", "CERT", {
            **tls, "ssl.keystore.type": "PEM", "ssl.keystore.key": locked, "ssl.keystore.certificate.chain": locked,
            "ssl.key.password": "key-password"}),
        Trial("client certificate with TLS 1.2", "CERT",
              key_store("client.p12", "PKCS12", ssl_enabled_protocols="TLSv1.2")),
        Trial("no client certificate", "CERT", tls),
        Trial("no client certificate with TLS 1.2", "CERT", {**tls, "ssl.enabled.protocols": "TLSv1.2"}),
        Trial("key store without its password", "CERT", key_store("client.jks", password=None)),
        Trial("wrong key store password", "CERT", key_store("client.jks", password="wrong")),
        Trial("wrong key password", "CERT", key_store("client.jks", ssl_key_password="wrong")),
        Trial("key password missing", "CERT", key_store("client.jks")),
        Trial("wrong key password, PEM", "CERT",
              key_store("client-locked.pem", "PEM", None, ssl_key_password="wrong"), True),
        Trial("PEM with a store password", "CERT", key_store("client.pem", "PEM")),
        Trial("PEM key with another type", "CERT", {**tls, "ssl.keystore.key": client}),
        Trial("PEM key without chain", "CERT", {**tls, "ssl.keystore.key": client, "ssl.keystore.type": "PEM"}),
        Trial("PEM chain without key", "CERT", {
            **tls, "ssl.keystore.certificate.chain": client, "ssl.keystore.type": "PEM"}),
        Trial("key store password alone", "CERT", {**tls, "ssl.keystore.password": "a"}),
        Trial("PLAIN", "SASL_PLAINTEXT", sasl("PLAIN", PLAIN.format(*alice))),
        Trial("SCRAM-SHA-256", "SASL_PLAINTEXT", sasl("SCRAM-SHA-256", SCRAM.format(*alice))),
        Trial("SCRAM-SHA-512", "SASL_PLAINTEXT", sasl("SCRAM-SHA-512", SCRAM.format(*alice))),
        Trial("OAUTHBEARER", "SASL_PLAINTEXT", sasl("OAUTHBEARER", BEARER)),
        *(
            Trial(f"{mechanism} over TLS", "SASL_SSL",
                  {**trust, **sasl(mechanism, jaas), "security.protocol": "SASL_SSL"})
            for mechanism, jaas in (
                ("PLAIN", PLAIN.format(*alice)), ("SCRAM-SHA-256", SCRAM.format(*alice)),
                ("SCRAM-SHA-512", SCRAM.format(*alice)), ("OAUTHBEARER", BEARER),
            )
        ),
        Trial("PLAIN, wrong password", "SASL_PLAINTEXT", sasl("PLAIN", PLAIN.format("alice", "x"))),
        Trial("SCRAM-SHA-256, wrong password", "SASL_PLAINTEXT", sasl("SCRAM-SHA-256", SCRAM.format("alice", "x"))),
        Trial("SCRAM-SHA-512, wrong password", "SASL_PLAINTEXT", sasl("SCRAM-SHA-512", SCRAM.format("alice", "x"))),
        Trial("SCRAM-SHA-256, unknown user", "SASL_PLAINTEXT", sasl("SCRAM-SHA-256", SCRAM.format("bob,=", "x"))),
        Trial("PLAIN over TLS, wrong password", "SASL_SSL", {
            **trust, **sasl("PLAIN", PLAIN.format("alice", "x")), "security.protocol": "SASL_SSL"}),
        Trial("SASL over TLS, untrusted", "SASL_SSL", {
            **sasl("PLAIN", PLAIN.format(*alice)), "security.protocol": "SASL_SSL"}),
        Trial("mechanism not enabled", "ONLY_PLAIN", sasl("SCRAM-SHA-256", SCRAM.format(*alice))),
        Trial("OAUTHBEARER not enabled", "ONLY_PLAIN", sasl("OAUTHBEARER", BEARER)),
        Trial("unknown mechanism", "SASL_PLAINTEXT", sasl("FOO", SCRAM.format(*alice)), True),
        Trial("SCRAM module for PLAIN", "SASL_PLAINTEXT", sasl("PLAIN", SCRAM.format(*alice))),
        Trial("SASL to a plain listener", "PLAINTEXT", sasl("PLAIN", PLAIN.format(*alice))),
        Trial("plain to a SASL listener", "SASL_PLAINTEXT", {}),
        Trial("no JAAS", "SASL_PLAINTEXT", sasl("PLAIN", None)),
        Trial("GSSAPI without JAAS", "SASL_PLAINTEXT", {"security.protocol": "SASL_PLAINTEXT"}),
        Trial("JAAS: empty", "SASL_PLAINTEXT", sasl("PLAIN", "")),
        Trial("JAAS: no flag", "SASL_PLAINTEXT", sasl("PLAIN", "a.b.C;")),
        Trial("JAAS: class alone", "SASL_PLAINTEXT", sasl("PLAIN", "a.b.C")),
        Trial("JAAS: bad flag", "SASL_PLAINTEXT", sasl("PLAIN", "a.b.C needed a=b;")),
        Trial("JAAS: unknown class", "SASL_PLAINTEXT", sasl("PLAIN", "a.b.C required;")),
        Trial("JAAS: no semicolon", "SASL_PLAINTEXT", sasl("PLAIN", PLAIN.format(*alice)[:-1])),
        Trial("JAAS: two entries", "SASL_PLAINTEXT", sasl("PLAIN", PLAIN.format(*alice) * 2)),
        Trial("JAAS: no value", "SASL_PLAINTEXT", sasl("PLAIN", "a.b.C required username;")),
        Trial("JAAS: a number for a value", "SASL_PLAINTEXT", sasl("PLAIN", "a.b.C required username=12;")),
        Trial("JAAS: no user name", "SASL_PLAINTEXT", sasl("PLAIN", MODULES + ".plain.PlainLoginModule required;"),
              True),
        Trial("JAAS: words, comments, single quotes", "SASL_PLAINTEXT", sasl(
            "PLAIN", MODULES + ".plain.PlainLoginModule REQUIRED /* who */ username=bare-word_1 password='single';")),
        Trial("unknown keys", "PLAINTEXT", {"no.such.key": "1", "acks": "all"}),
    ]


# --- running ------------------------------------------------------------------------------------------------


def listeners(port: int) -> dict[str, int]:
    names = ("PLAINTEXT", "CONTROLLER", "SSL", "SASL_SSL", "SASL_PLAINTEXT", "CERT", "ONLY_PLAIN")
    return {name: port + n for n, name in enumerate(names)}


def start(folder: Path, port: int) -> None:
    """Start Apache Kafka, and give alice her SCRAM passwords."""
    ports = listeners(port)
    protocols = {"CONTROLLER": "PLAINTEXT", "CERT": "SSL", "ONLY_PLAIN": "SASL_PLAINTEXT"}
    users = f'user_alice="{QUOTED}" user_bare-word_1="single"'
    settings = {
        "listeners": ",".join(f"{name}://127.0.0.1:{at}" for name, at in ports.items()),
        "advertised.listeners": ",".join(f"{n}://localhost:{at}" for n, at in ports.items() if n != "CONTROLLER"),
        "listener.security.protocol.map": ",".join(f"{name}:{protocols.get(name, name)}" for name in ports),
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.name.cert.ssl.client.auth": "required",
        "ssl.keystore.location": f"{folder}/server.p12", "ssl.keystore.password": "store-password",
        "ssl.keystore.type": "PKCS12", "ssl.truststore.type": "PEM", "ssl.truststore.location": f"{folder}/ca.pem",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        "listener.name.only_plain.sasl.enabled.mechanisms": "PLAIN",
        "delegation.token.secret.key": "secret",
    }
    for listener in ("sasl_ssl", "sasl_plaintext", "only_plain"):
        for mechanism, jaas in (
            ("plain", f"{MODULES}.plain.PlainLoginModule required {users};"),
            ("scram-sha-256", f"{MODULES}.scram.ScramLoginModule required;"),
            ("scram-sha-512", f"{MODULES}.scram.ScramLoginModule required;"),
            ("oauthbearer", BEARER),
        ):
            settings[f"listener.name.{listener}.{mechanism}.sasl.jaas.config"] = jaas
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={escaped(value)}")]
    peer(["start", "--run", RUN, "--port", str(port), *words])
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        peer(["tool", "kafka.admin.ConfigCommand", "--bootstrap-server", f"127.0.0.1:{port}", "--alter", "--add-config",
              f"{mechanism}=[password={PASSWORD}]", "--entity-type", "users", "--entity-name", "alice"])


def peer(words: list[str]) -> None:
    subprocess.run([sys.executable, str(PEER), *words], check=True, stdout=subprocess.DEVNULL)


def reasons(text: str) -> list[str]:
    """Return the messages of a chain of exceptions."""
    return [line.removeprefix("Caused by: ") for line in text.splitlines()
            if line.strip() and not line.startswith(("\t", "WARN ["))]


def compare(trial: Trial, java: tuple[int, str, str], mine: tuple[int, str, str]) -> str:
    """Return what differs, empty if nothing does."""
    if java[0] != mine[0]:
        return f"status {java[0]} and {mine[0]}"
    if trial.own_words:
        return "" if mine[1].strip() or reasons(mine[2]) else "no reason is given"
    if java[1].strip() != mine[1].strip():
        return "another output"
    known = "\n".join(reasons(java[2]))
    missing = [line for line in reasons(mine[2]) if line.split(" (and there is")[0].split(" (JKS, PK")[0] not in known]
    return f"another reason: {missing}" if missing else ""


def librdkafka_problem(properties: dict[str, str], address: str) -> str:
    """Return what keeps librdkafka from connecting with the same properties, empty if nothing does."""
    client = AdminClient(librdkafka_config(Settings(properties, address), kind="admin", log_level=0))
    client.poll(1 if properties.get("sasl.mechanism") == "OAUTHBEARER" else 0)  # where a token is made
    try:
        client.list_topics(timeout=10)
    except KafkaException as e:
        return f"librdkafka: {e}"
    return ""


def compare_tokens(java: Java, port: int) -> tuple[int, int]:
    """Put the commands on delegation tokens to both; return how many there are and how many differ."""
    cases = list(read(HERE / "cases-tokens" / "kafka-delegation-tokens.txt"))
    more = {"sasl": f"localhost:{listeners(port)['SASL_PLAINTEXT']}"}
    theirs, mine = (play(cases, "kafka", f"localhost:{port}", tool, more) for tool in (java.run, ours))
    wrong = 0
    for a, b in zip(theirs, mine, strict=True):
        if differ(a, b):
            wrong += 1
            show(a, "java", a, "ours", b)
    word = "differs" if wrong else "equal"
    print(f"{word:<8} {len(cases)} commands on delegation tokens, {wrong} differ", flush=True)
    return len(cases), wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=29300, help="the first of seven (default 29300)")
    parser.add_argument("--only", default="", help="only trials with this in their name")
    parser.add_argument("--show", action="store_true", help="show what was said")
    parser.add_argument("--keep", action="store_true", help="leave Apache Kafka running")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="barnabas-secure-"))
    java = Java()
    total = wrong = checked = 0
    try:
        make_stores(folder)
        start(folder, chosen.port)
        config = folder / "client.properties"
        # a JVM needs longer for its first connection than for all others
        java.run(["kafka-topics", "--bootstrap-server", f"localhost:{chosen.port}", "--list"], Case("", ["seconds=60"]))
        for trial in trials(folder):
            if chosen.only not in trial.name:
                continue
            # Java's tool would try for a minute
            properties = {**trial.properties, "default.api.timeout.ms": "5000", "request.timeout.ms": "4000"}
            config.write_text("".join(f"{key}={escaped(value)}\n" for key, value in properties.items()))
            address = f"{trial.host}:{listeners(chosen.port)[trial.listener]}"
            words = ["kafka-topics", "--bootstrap-server", address, "--list", "--command-config", str(config)]
            case = Case("", ["seconds=20"])
            theirs = java.run(words, case)
            begun = time.monotonic()
            mine = ours(words, case)
            took = time.monotonic() - begun
            problem = compare(trial, theirs, mine)
            if not problem and not theirs[0]:
                problem = librdkafka_problem(properties, address)
                checked += 1
            total += 1
            wrong += bool(problem)
            print(f"{'differs' if problem else 'equal':<8} {took:5.2f} s  {trial.name:<42} {problem}", flush=True)
            if chosen.show or problem:
                for name, (status, out, err) in (("java", theirs), ("ours", mine)):
                    print(f"    {name}: status {status}")
                    for number, text in ((1, out.splitlines()), (2, reasons(err))):
                        for line in text[:12]:
                            print(f"      {number}> {line[:200]}")
        if chosen.only in "delegation tokens":
            commands, differing = compare_tokens(java, chosen.port)
            total += commands
            wrong += differing
    finally:
        java.close()
        if not chosen.keep:
            peer(["wipe", "--run", RUN])
            shutil.rmtree(folder)
    print(f"{checked} of them with librdkafka, too")
    print(f"{total - wrong} passed, {wrong} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
