"""Key stores and trust stores: JKS and PKCS12 by keytool, PKCS12 by others, PEM, and bytes that are no store."""

from __future__ import annotations

import base64
import random
import ssl
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from barnabas.tools import stores
from barnabas.tools.errors import ConfigError

from .peers import Authority, pem, pem_key

#: keytool -genkeypair -alias me -keyalg EC -storetype JKS -storepass store-password -keypass key-password, and
#: keytool -importcert -alias ca of another certificate
JKS = base64.b64decode("""
    /u3+7QAAAAIAAAACAAAAAgACY2EAAAGiE7UQiQAFWC41MDkAAAGEMIIBgDCCASWgAwIBAgIUcOQbZ/bMjtNaSKojtUzRh0nZJ4owCgYIKoZIzj
    0EAwIwFDESMBAGA1UEAwwJYXV0aG9yaXR5MCAXDTI2MTEyNTE3MTYwMVoYDzIxMjYxMTAxMTcxNjAxWjAUMRIwEAYDVQQDDAlhdXRob3JpdHkw
    WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARNF5zVqwmLv+WzBe8C3xu1hV5br8sKvMhhnYwREV3sA/0va6HfPlX0W/QDwR5V0BrE0a27KGOQHK
    xZqrLjbV4Go1MwUTAdBgNVHQ4EFgQUexojfQ4eU1LHGPyqekw6B82g6lQwHwYDVR0jBBgwFoAUexojfQ4eU1LHGPyqekw6B82g6lQwDwYDVR0T
    AQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEAo255Z9I9Zg7sjgrMhWyIVH7S1I6fpZdk1Zv6RuTY5CgCIQC/uyJcT1XCu5woB9EiVyyHwD
    660zxClQoTn9ObPOaR3QAAAAEAAm1lAAABohO1C40AAAB/MH0wDgYKKwYBBAEqAhEBAQUABGtIKaWfu2ojoatv1yBPLTUd+j18oqx7F4DJLQsf
    kIJWxvABmZ/s+qlNWxu6wEj+XSLO4Pur/6gY0he5MR+UpiSduk9p9ln5+ipAWPzJbtlBXDclap1fl3XqIp584zSqV7V3qxyE+yk2rVfH/QAAAA
    EABVguNTA5AAABODCCATQwgdqgAwIBAgIJAKVOm5GIrXsJMAoGCCqGSM49BAMCMA0xCzAJBgNVBAMTAm1lMCAXDTI2MTEyNTE3MTYwMVoYDzIx
    MjYxMTAxMTcxNjAxWjANMQswCQYDVQQDEwJtZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABPy5TdI6nc7GBnaOW3AvgRaVaSAKwHGBlqScpT
    KwyumgzaUL4XF7TCaVUyhW9PISHo83RyXAP5TYpAkO6s/5Ge6jITAfMB0GA1UdDgQWBBSzITVEvmjI2nZKA5h6Nc5YALtJNDAKBggqhkjOPQQD
    AgNJADBGAiEA6wHQkv3zzhupd/ZlMHZvSkwQCLztTqWGDOtDrLesZPYCIQDnXXeWblb27czmxpJfGnPB4ozsr/H6QyYTRnOYa0hnMFMdzlp/bC
    jpVpWrBFG/jDP/jAQC
""")
#: keytool -genkeypair -alias me -keyalg EC -storetype PKCS12 -storepass store-password
PKCS12 = base64.b64decode("""
    MIID2AIBAzCCA4IGCSqGSIb3DQEHAaCCA3MEggNvMIIDazCCASIGCSqGSIb3DQEHAaCCARMEggEPMIIBCzCCAQcGCyqGSIb3DQEMCgECoIG9MI
    G6MGYGCSqGSIb3DQEFDTBZMDgGCSqGSIb3DQEFDDArBBQ46EYdv8sKOgTvR9wH9pmNdk54HgICJxACASAwDAYIKoZIhvcNAgkFADAdBglghkgB
    ZQMEASoEEIz+jeybInxvW3jpRiMSFjkEUJUm67g9lSulIKJjtgXfC1x0zQQQ/XxIYVP4RzDDrjfL/urOu2moGxrym4amoFtEJ+Rc/sOF3XOuNy
    ZSpHnwLaceXGKWvgEgALmH2x09MtYOMTgwEwYJKoZIhvcNAQkUMQYeBABtAGUwIQYJKoZIhvcNAQkVMRQEElRpbWUgMTc5NTYyNjk2NDcwMTCC
    AkEGCSqGSIb3DQEHBqCCAjIwggIuAgEAMIICJwYJKoZIhvcNAQcBMGYGCSqGSIb3DQEFDTBZMDgGCSqGSIb3DQEFDDArBBTeJo91rBWp5cBbeU
    ZYQG6Ygt6kdwICJxACASAwDAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEOovx7kbVidUxgDylpFktraAggGwW8bwjfdIvNxObR2OcFvhAn2W
    ZN6peTmG5VuNAio9cS9x3IXpFoudGP0dySJLHP67fKCzxogBUbTw4ZhcMDURPz0w2scFFQ+CJoO1+xudOu6Vnm/xWR6DZ4160EIC86yll8rpgg
    PoSIqftLO5r6agf2XRhadCaXdnqTb+ePPIgB51guk6IMEzt65YkFLN74s2dhJwlqfZGoLHmwmwtqscGNdh8aI126GmWidwObttNX2VGOxBvDkN
    igM4kh1Chuy51GYp6iJWnufU34Dz3KjIFi21WtD5ZfQM99M9gGLZnUXePotqO6Vq07rUZ1BGz2kOFbX/AMRh5v0uGNEIBfP4mAZIJT/zVwOwyR
    gB4m1yI9bagkCZ1CwqYw0Fx8+m9pVJi8b+V2LmWONKJEwoprnPQyvqQ46COKpJtNfxdKQ26cPV3WmYbMfTvkdGjvr0NGNHaLJae+Oj7PmVD0we
    OzKtW0y2OH7+vg2L7Cxt+mB/8ouATYuyXeJ9Sk1WW3VE0ScJf/oTK5WDB6CU4IWJp+m6/Iq1548Mat1X2xI9m9xPyb9q/rB2hgWeyCRvSY2Z3C
    RnME0wMTANBglghkgBZQMEAgEFAAQgET8USjSuQUjCYaVspB2d5LXIbXAriR5NNOeErqHVMRkEFEcDLxvD6x5j7Ksgvbous2PIbfWcAgInEA==
""")


def der(text: str) -> list[bytes]:
    """Return the certificates of a PEM text."""
    parts = text.split("-----END CERTIFICATE-----")[:-1]
    return [ssl.PEM_cert_to_DER_cert(part.strip() + "\n-----END CERTIFICATE-----\n") for part in parts]


def test_jks_certificates_are_read() -> None:
    store = stores.read_jks(JKS, "store-password", None, wants_key=False)
    assert len(store.trusted) == 1
    assert len(store.chain) == 1
    assert store.key is None


def test_jks_private_key_fits_its_certificate(tmp_path: Path) -> None:
    path = tmp_path / "k.jks"
    path.write_bytes(JKS)
    found = stores.load_identity(str(path), "JKS", "store-password", "key-password")
    combined = tmp_path / "k.pem"
    combined.write_text(found.key + found.chain)
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(combined)  # refuses a key that does not fit
    assert len(der(stores.load_trust(str(path), "jks", "store-password"))) == 2
    assert len(der(stores.load_trust(str(path), "JKS", None))) == 2  # Java, too, then skips the check


@pytest.mark.parametrize(("store_password", "key_password", "message"), [
    ("wrong", "key-password", "java.io.IOException: Keystore was tampered with, or password was incorrect"),
    ("store-password", "wrong", "java.security.UnrecoverableKeyException: Cannot recover key"),
    ("store-password", None, "java.security.UnrecoverableKeyException: Cannot recover key"),
])
def test_jks_wrong_passwords(tmp_path: Path, store_password: str, key_password: str | None, message: str) -> None:
    path = tmp_path / "k.jks"
    path.write_bytes(JKS)
    with pytest.raises(ConfigError) as caught:
        stores.load_identity(str(path), "JKS", store_password, key_password)
    assert message in str(caught.value)
    assert caught.value.exception == "org.apache.kafka.common.KafkaException"


def test_a_jks_that_was_changed_is_noticed_and_never_breaks_the_reader() -> None:
    chance = random.Random(1)
    for size in range(len(JKS)):
        with pytest.raises(ValueError, match=r"Invalid keystore format|tampered"):
            stores.read_jks(JKS[:size], "store-password", "key-password")
    for _ in range(3000):  # without the password the digest protects nothing
        changed = bytearray(JKS)
        for _ in range(chance.choice((1, 1, 4))):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        try:
            stores.read_jks(bytes(changed), None, "key-password")
        except ValueError:
            continue


@pytest.mark.parametrize("kind", ["PKCS12", "pkcs12", "JKS"])
def test_pkcs12_by_keytool(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "k.p12"
    path.write_bytes(PKCS12)
    found = stores.load_identity(str(path), kind, "store-password", None)
    assert found.key.startswith("-----BEGIN PRIVATE KEY-----\n")
    assert len(der(found.chain)) == 1
    with pytest.raises(ConfigError, match=r"java\.io\.IOException: keystore password was incorrect"):
        stores.load_identity(str(path), kind, "wrong", None)


def test_pkcs12_with_certificates_alone_and_with_a_chain(tmp_path: Path) -> None:
    authority = Authority()
    key, certificate = authority.issue("client")
    secret = serialization.BestAvailableEncryption(b"pw")
    trust, own = tmp_path / "trust.p12", tmp_path / "own.p12"
    trust.write_bytes(pkcs12.serialize_key_and_certificates(None, None, None, [authority.certificate], secret))
    own.write_bytes(pkcs12.serialize_key_and_certificates(b"me", key, certificate, [authority.certificate], secret))
    assert der(stores.load_trust(str(trust), "PKCS12", "pw")) == der(authority.pem)
    found = stores.load_identity(str(own), "PKCS12", "pw", None)
    assert der(found.chain) == der(pem(certificate) + authority.pem)
    with pytest.raises(ConfigError, match="holds no private key"):
        stores.load_identity(str(trust), "PKCS12", "pw", None)


def test_without_the_library_the_way_to_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "k.p12"
    path.write_bytes(PKCS12)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.serialization", None)
    with pytest.raises(ConfigError, match=r"pip install 'barnabas\[stores\]'"):
        stores.load_trust(str(path), "PKCS12", "store-password")
    path.write_bytes(JKS)
    stores.load_trust(str(path), "JKS", "store-password")


def test_pem(tmp_path: Path) -> None:
    authority = Authority()
    key, certificate = authority.issue("client")
    path = tmp_path / "all.pem"
    path.write_text(f"a comment\n{pem_key(key, 'pw')}{pem(certificate)}{authority.pem}")
    found = stores.load_identity(str(path), "PEM", None, "pw")
    assert "ENCRYPTED PRIVATE KEY" in found.key
    assert found.password == "pw"
    assert der(found.chain) == der(stores.load_trust(str(path), "PEM", None))
    with pytest.raises(ConfigError, match="SSL trust store password cannot be specified for PEM format"):
        stores.load_trust(str(path), "PEM", "pw")
    with pytest.raises(ConfigError, match="No matching PRIVATE KEY entries in PEM file"):
        stores.pem_key(authority.pem)
    with pytest.raises(ConfigError, match="No matching CERTIFICATE entries in PEM file"):
        stores.pem_certificates(pem_key(key))


@pytest.mark.parametrize(("name", "content", "kind", "message"), [
    ("none", None, "JKS", "java.nio.file.NoSuchFileException: "),
    ("a", b"hello", "JKS", "java.io.IOException: Invalid keystore format"),
    ("a", b"", "JKS", "java.io.IOException: Invalid keystore format"),
    ("a", b"\x30\x82", "PKCS12", "java.io.IOException: Invalid keystore format"),
    ("a", b"hello", "PKCS12", "java.io.IOException: Invalid keystore format"),
    ("a", JKS, "BCFKS", "java.security.KeyStoreException: BCFKS not found"),
])
def test_what_is_no_store_is_refused(
    tmp_path: Path, name: str, content: bytes | None, kind: str, message: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        stores.load_trust(str(path), kind, "pw")
    assert str(caught.value).startswith(f"Failed to load SSL keystore {path} of type {kind}\nCaused by: {message}")
