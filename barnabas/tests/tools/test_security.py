"""TLS and SASL of the tools: settings, log-in lines, mechanisms, and connections to peers of the test's own."""

from __future__ import annotations

import base64
import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from barnabas.embedded import Broker
from barnabas.protocol.messages.metadata import MetadataRequest
from barnabas.tools import jaas, sasl, security
from barnabas.tools.cluster import Cluster, Unreachable
from barnabas.tools.connection import Connection, ConnectionFailed
from barnabas.tools.errors import AuthenticationFailed, ConfigError
from barnabas.tools.settings import Settings

from .peers import Authority, SaslBroker, pem, pem_key, serving, tls_in_front

PLAIN = 'org.apache.kafka.common.security.plain.PlainLoginModule required username="alice" password="{}";'
BEARER = (
    'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required '
    'unsecuredLoginStringClaim_sub="alice" '
    'unsecuredLoginListClaim_scope="|a|b" unsecuredLoginLifetimeSeconds="60";'
)


def settings(port: int = 1, host: str = "localhost", **properties: str) -> Settings:
    return Settings({key.replace("_", "."): value for key, value in properties.items()}, f"{host}:{port}")


# --- log-in lines -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "options"), [
    ("a.b.C required;", {}),
    ('a.b.C REQUIRED x="1" y=\'2\';', {"x": "1", "y": "2"}),
    ("a.b.C optional user=bare-word_1 p=with.dots$;", {"user": "bare-word_1", "p": "with.dots$"}),
    ('a.b.C required p="a \\"b\\" \\\\ c;d=e\\t\\101";', {"p": 'a "b" \\ c;d=e\tA'}),
    ('a.b.C // why\n required /* all\n of it */ p="//no comment" ;', {"p": "//no comment"}),
    ('\n a.b.C\n  required\n  p="ü€"\n;\n', {"p": "ü€"}),
    ('a.b.C required p="";', {"p": ""}),
])
def test_a_login_line_is_read(text: str, options: dict[str, str]) -> None:
    assert jaas.parse(text) == jaas.LoginModule("a.b.C", options)


@pytest.mark.parametrize(("text", "message"), [
    ("", "Login module not specified in JAAS config"),
    ("a.b.C", "Login module control flag not specified in JAAS config"),
    ("a.b.C;", "Login module control flag is not available in the JAAS config"),
    ("a.b.C needed;", "Invalid login module control flag 'needed' in JAAS config"),
    ("a.b.C required", "JAAS config entry not terminated by semi-colon"),
    ("a.b.C required x=y", "JAAS config entry not terminated by semi-colon"),
    ("a.b.C required x;", "Value not specified for key 'x' in JAAS config"),
    ("a.b.C required x=;", "Value not specified for key 'x' in JAAS config"),
    ("a.b.C required x=12;", "Value not specified for key 'x' in JAAS config"),
    ("a.b.C required; a.b.C required;", "JAAS config property contains 2 login modules, should be 1 module"),
])
def test_a_wrong_login_line_is_refused_in_java_s_words(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        jaas.parse(text)
    assert str(caught.value) == message
    assert caught.value.exception == "java.lang.IllegalArgumentException"


@pytest.mark.parametrize(("properties", "message"), [
    ({}, "Could not find a 'KafkaClient' entry in the JAAS configuration. System property "
         "'java.security.auth.login.config' is not set"),
    ({"sasl_mechanism": "PLAIN"}, "Could not find a 'KafkaClient' entry"),
    ({"sasl_jaas_config": PLAIN}, "GSSAPI (Kerberos) is not spoken here. Use a listener with SCRAM-SHA-256"),
    ({"sasl_mechanism": "FOO", "sasl_jaas_config": PLAIN}, "The SASL mechanism FOO is not spoken here"),
    ({"sasl_mechanism": "PLAIN", "sasl_jaas_config": "a.b.C required;"}, "No LoginModule found for a.b.C"),
    ({"sasl_mechanism": "PLAIN", "sasl_jaas_config": PLAIN.replace("username", "user")}, "has no username"),
    ({"sasl_mechanism": "OAUTHBEARER", "sasl_jaas_config": PLAIN}, "has no unsecuredLoginStringClaim_sub"),
    ({"sasl_mechanism": "OAUTHBEARER", "sasl_jaas_config": BEARER, "sasl_oauthbearer_token_endpoint_url": "http://a"},
     "Tokens are not fetched from elsewhere here (sasl.oauthbearer.token.endpoint.url is set)"),
    ({"sasl_mechanism": "OAUTHBEARER", "sasl_jaas_config": BEARER.replace("60", "x")},
     "unsecuredLoginLifetimeSeconds of sasl.jaas.config is no number: x"),
])
def test_settings_that_cannot_log_in_are_told_of_before_a_broker_is_asked(
    properties: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Connection("localhost", 1, settings(security_protocol="SASL_PLAINTEXT", **properties))
    assert message in str(caught.value)


# --- mechanisms ---------------------------------------------------------------------------------------------


def test_scram_says_what_rfc_7677_says() -> None:
    talk = sasl.scram({"username": "user", "password": "pencil"}, "sha256", "rOprNGfwEbeRWgbNEkqO")
    assert next(talk) == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    joint = b"rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    final = talk.send(b"r=" + joint + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    assert final == b"c=biws,r=" + joint + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    with pytest.raises(StopIteration):
        talk.send(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


@pytest.mark.parametrize(("first", "final", "message"), [
    (b"r=other,s=W22Z,i=4096", b"", "Invalid server nonce"),
    (b"r=nonce1,s=W22Z,i=10", b"", "Requested iterations 10 is less than the minimum 4096"),
    (b"r=nonce1,s=W22Z", b"", "cannot be understood"),
    (b"\xff\x00", b"", "cannot be understood"),
    (b"r=nonce1,s=W22Z,i=x", b"", "cannot be understood"),
    (b"r=nonce1,s=W22Z,i=4096", b"v=AAAA", "Invalid server signature"),
    (b"r=nonce1,s=W22Z,i=4096", b"", "Invalid server signature"),
    (b"r=nonce1,s=W22Z,i=4096", b"e=other-error", "failed with error: other-error"),
])
def test_scram_believes_no_server_that_does_not_know_the_password(first: bytes, final: bytes, message: str) -> None:
    talk = sasl.scram({"username": "a,b=c", "password": "p"}, "sha256", "nonce")
    assert next(talk) == b"n,,n=a=2Cb=3Dc,r=nonce"
    with pytest.raises(AuthenticationFailed, match=message):
        talk.send(first)
        talk.send(final)


def test_a_token_is_made_as_java_s_login_module_makes_it() -> None:
    options = jaas.parse(BEARER).options | {"unsecuredLoginNumberClaim_n": "3", "unsecuredLoginExtension_team": "x"}
    header, claims, signature = sasl.token(options, 1000.0).split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "none"}
    assert json.loads(base64.urlsafe_b64decode(claims + "==")) == {
        "sub": "alice", "scope": ["a", "b"], "n": 3.0, "iat": 1000.0, "exp": 1060.0,
    }
    assert signature == ""
    assert next(sasl.oauthbearer(options)).endswith(b"\x01team=x\x01\x01")


@pytest.mark.parametrize(("mechanism", "line"), [
    ("PLAIN", PLAIN), ("SCRAM-SHA-256", PLAIN), ("SCRAM-SHA-512", PLAIN), ("OAUTHBEARER", BEARER),
])
def test_a_log_in_succeeds(mechanism: str, line: str) -> None:
    with serving(SaslBroker("secret", mechanism)) as port:
        how = settings(port, security_protocol="SASL_PLAINTEXT", sasl_mechanism=mechanism,
                       sasl_jaas_config=line.format("secret"))
        connection = Connection("127.0.0.1", port, how)
        assert [b.node_id for b in connection.request(MetadataRequest([])).brokers] == [1]
        connection.close()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_wrong_password_ends_at_once_with_the_broker_s_words(mechanism: str) -> None:
    broker = SaslBroker("secret", mechanism)
    with serving(broker) as port:
        how = settings(port, "127.0.0.1", security_protocol="SASL_PLAINTEXT", sasl_mechanism=mechanism,
                       sasl_jaas_config=PLAIN.format("wrong"))
        begun = time.monotonic()
        with Cluster(how) as cluster, pytest.raises(AuthenticationFailed, match="Authentication failed"):
            cluster.any()
        assert time.monotonic() - begun < 2.5  # tried once: an unreachable broker takes four seconds
        assert broker.attempts == (1 if mechanism == "PLAIN" else 2)


def test_a_mechanism_that_the_broker_does_not_have_is_told_of() -> None:
    with serving(SaslBroker("secret", "PLAIN", "OAUTHBEARER")) as port:
        how = settings(port, security_protocol="SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-256",
                       sasl_jaas_config=PLAIN.format("secret"))
        with pytest.raises(AuthenticationFailed) as caught:
            Connection("127.0.0.1", port, how)
    assert str(caught.value) == (
        "Client SASL mechanism 'SCRAM-SHA-256' not enabled in the server, enabled mechanisms are [PLAIN, OAUTHBEARER]"
    )


def test_a_broker_that_does_not_know_the_password_is_not_believed() -> None:
    with serving(SaslBroker("secret", "SCRAM-SHA-512", lie=True)) as port:
        how = settings(port, security_protocol="SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-512",
                       sasl_jaas_config=PLAIN.format("secret"))
        with pytest.raises(AuthenticationFailed, match="Invalid server signature"):
            Connection("127.0.0.1", port, how)


def test_who_does_not_log_in_cannot_reach_the_cluster() -> None:
    with serving(SaslBroker("secret", "PLAIN")) as port, Cluster(settings(port, "127.0.0.1")) as cluster, \
            pytest.raises(Unreachable, match=r"Timed out waiting for a node assignment\. Call: listTopics"):
        cluster.metadata(None, "listTopics")


# --- TLS ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as started:
        yield started


@pytest.fixture
def tls(broker: Broker, authority: Authority) -> Iterator[int]:
    with serving(tls_in_front(int(broker.bootstrap.rpartition(":")[2]), authority, "localhost")) as port:
        yield port


def trusting(authority: Authority, port: int = 1, **more: str) -> Settings:
    return settings(port, security_protocol="SSL", ssl_truststore_type="PEM",
                    ssl_truststore_certificates=authority.pem, **more)


def ask(host: str, port: int, how: Settings) -> None:
    connection = Connection(host, port, how)
    try:
        assert connection.request(MetadataRequest([])).brokers
    finally:
        connection.close()


def test_a_trusted_broker_is_spoken_to(tls: int, authority: Authority) -> None:
    ask("localhost", tls, trusting(authority))
    ask("localhost", tls, trusting(authority, ssl_enabled_protocols="TLSv1.2"))
    ask("localhost", tls, trusting(authority, ssl_cipher_suites="TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"))
    ask("localhost", tls, trusting(authority, ssl_cipher_suites="TLS_AES_256_GCM_SHA384"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_an_untrusted_broker_or_another_name_is_refused(tls: int, authority: Authority, host: str) -> None:
    how = trusting(authority if host == "127.0.0.1" else Authority("somebody else"), tls)
    how.bootstrap = [(host, tls)]
    begun = time.monotonic()
    with Cluster(how) as cluster, pytest.raises(AuthenticationFailed) as caught:
        cluster.any()
    assert time.monotonic() - begun < 2.5  # tried once: an unreachable broker takes four seconds
    assert str(caught.value) == "SSL handshake failed"
    assert ("mismatch" if host == "127.0.0.1" else "self-signed") in caught.value.detail


def test_without_the_check_of_the_name_any_name_will_do(tls: int, authority: Authority) -> None:
    ask("127.0.0.1", tls, trusting(authority, ssl_endpoint_identification_algorithm=""))


@pytest.mark.parametrize("password", [None, "key-password"])
def test_a_client_s_certificate(broker: Broker, authority: Authority, password: str | None) -> None:
    port = int(broker.bootstrap.rpartition(":")[2])
    key, certificate = authority.issue("client")
    more = {} if password is None else {"ssl_key_password": password}
    with serving(tls_in_front(port, authority, "localhost", client=True)) as tls:
        how = trusting(authority, ssl_keystore_type="PEM", ssl_keystore_key=pem_key(key, password),
                       ssl_keystore_certificate_chain=pem(certificate), **more)
        ask("localhost", tls, how)
        with pytest.raises((AuthenticationFailed, ConnectionFailed)):
            ask("localhost", tls, trusting(authority))
        with pytest.raises((AuthenticationFailed, ConnectionFailed)):
            ask("localhost", tls, trusting(authority, ssl_enabled_protocols="TLSv1.2"))


def test_tls_where_there_is_none(broker: Broker, authority: Authority) -> None:
    with pytest.raises((AuthenticationFailed, ConnectionFailed)):
        ask("localhost", int(broker.bootstrap.rpartition(":")[2]), trusting(authority))


_INVALID = "org.apache.kafka.common.errors.InvalidConfigurationException"
_KAFKA = "org.apache.kafka.common.KafkaException"


@pytest.mark.parametrize(("properties", "exception", "message"), [
    ({"ssl_truststore_certificates": "x"}, _INVALID,
     "SSL trust store certs can be specified only for PEM, but trust store type is JKS."),
    ({"ssl_truststore_type": "PEM", "ssl_truststore_certificates": "x"}, _INVALID,
     "No matching CERTIFICATE entries in PEM file"),
    ({"ssl_truststore_password": "x"}, _INVALID,
     "SSL trust store is not specified, but trust store password is specified."),
    ({"ssl_keystore_password": "x"}, _INVALID, "SSL key store is not specified, but key store password is specified."),
    ({"ssl_keystore_key": "x"}, _INVALID, "SSL private key can be specified only for PEM, but key store type is JKS."),
    ({"ssl_keystore_location": "/none"}, _INVALID,
     "SSL key store is specified, but key store password is not specified."),
    ({"ssl_protocol": "TLSv1.9"}, _KAFKA, "java.security.NoSuchAlgorithmException: TLSv1.9 SSLContext not available"),
    ({"ssl_enabled_protocols": "TLSv9"}, "java.lang.IllegalArgumentException", "Unsupported protocol TLSv9"),
    ({"ssl_cipher_suites": "TLS_NONE"}, "java.lang.IllegalArgumentException", "Unsupported CipherSuite: TLS_NONE"),
])
def test_wrong_settings_are_refused_in_java_s_words(properties: dict[str, str], exception: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Connection("localhost", 1, settings(security_protocol="SSL", **properties))
    assert caught.value.exception == exception
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("text", ["garbage", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_key_that_is_none_is_refused(authority: Authority, text: str) -> None:
    how = settings(security_protocol="SSL", ssl_keystore_type="PEM", ssl_keystore_key=text,
                   ssl_keystore_certificate_chain=authority.pem)
    with pytest.raises(ConfigError):
        Connection("localhost", 1, how)


def test_a_wrong_key_password_is_refused_and_nobody_is_asked_for_one(authority: Authority, tmp_path: Path) -> None:
    key, certificate = authority.issue("client")
    path = tmp_path / "client.pem"
    path.write_text(pem_key(key, "right") + pem(certificate))
    how = {"security_protocol": "SSL", "ssl_keystore_type": "PEM", "ssl_keystore_location": str(path)}
    with pytest.raises(ConfigError):
        security.tls_context(settings(**how, ssl_key_password="wrong"))
    with pytest.raises(ConfigError, match="The private key is encrypted"):
        security.tls_context(settings(**how))
    security.tls_context(settings(**how, ssl_key_password="right"))


@pytest.mark.parametrize(("java", "openssl"), [
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", "DHE-RSA-AES256-GCM-SHA384"),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
    ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", "ECDHE-RSA-AES256-SHA384"),
    ("TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
    ("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
])
def test_suites_have_two_names(java: str, openssl: str) -> None:
    assert security.openssl_name(java) == openssl


def test_versions_follow_protocols_and_suites() -> None:
    one, two, three = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    assert security.versions(settings(), []) == (two, three)
    assert security.versions(settings(ssl_enabled_protocols="TLSv1.1, TLSv1.2"), []) == (one, two)
    assert security.versions(settings(), ["TLS_AES_128_GCM_SHA256"]) == (three, three)
    assert security.versions(settings(), ["ECDHE-RSA-AES128-GCM-SHA256"]) == (two, two)
    with pytest.raises(ConfigError):
        security.versions(settings(ssl_enabled_protocols="TLSv1.2"), ["TLS_AES_128_GCM_SHA256"])
