"""Say in plain words what helps: the texts of `barnabas doctor`."""

from __future__ import annotations

from barnabas.tools.probing import Address, Listener

CERTIFICATE_ADVICE = (
    "A listener may want a certificate of the client (ssl.client.auth=required on the broker): set "
    "ssl.keystore.location and what goes with it."
)


def name_advice(host: str) -> str:
    """Say what helps where a name has no address."""
    if "." not in host:
        return (
            f"A short name like {host} is often the name of a container, which only other containers of its network "
            "know. From outside use localhost, or the machine's name, and the port that is published."
        )
    return "Is the name spelt right? Otherwise DNS, or /etc/hosts, does not know it here."


def port_advice(tried: list[Address], port: int, local: bool, holders: list[Listener]) -> str:
    """Say what helps where a port does not answer. `local`: it is a port of this machine."""
    if local and holders:
        where = ", ".join(dict.fromkeys(x.address for x in holders))
        who = next((f" ({x.process})" for x in holders if x.process), "")
        return f"On this machine the port is open on {where} alone{who}: use that address, or change `listeners`."
    if local:
        return (
            f"Nothing listens on port {port} of this machine: is the broker running, is the port right, and, with "
            f"Docker, is it published (-p {port}:{port})?"
        )
    if any(a.problem == "refused" for a in tried):
        return "The machine is there, and nothing listens on that port: is the broker running, and is the port right?"
    return "Nothing comes back: a firewall in between, a machine that is off, or a wrong address."


def tls_advice(detail: str) -> str:
    """Say what helps against what OpenSSL found wrong."""
    lower = detail.lower()
    if "mismatch" in lower:
        return (
            "Connect by a name that stands in the certificate, or have one made with this name (subjectAltName). For a "
            "test, an empty ssl.endpoint.identification.algorithm switches the check off."
        )
    if "expired" in lower or "not yet valid" in lower:
        return "Have the certificate renewed; or is the clock of this machine wrong?"
    if "self-signed" in lower or "self signed" in lower or "issuer" in lower or "first certificate" in lower:
        return (
            "Set ssl.truststore.location to a store with the certificate of the authority that signed it (with "
            "ssl.truststore.type=PEM a plain file of certificates will do)."
        )
    return ""


def described(der: bytes | None) -> str:
    """Describe a certificate that was not accepted, where the library for it is there."""
    if not der:
        return ""
    try:
        from cryptography import x509
    except ImportError:
        return ""
    try:
        shown = x509.load_der_x509_certificate(der)
        names = ""
        for extension in shown.extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                names = ", ".join(str(name.value) for name in extension.value)
    except ValueError:
        return "a certificate that cannot be read"
    return (
        f"a certificate of {shown.subject.rfc4514_string()} for {names or 'no names'}, issued by "
        f"{shown.issuer.rfc4514_string()}, good from {shown.not_valid_before_utc:%Y-%m-%d} to "
        f"{shown.not_valid_after_utc:%Y-%m-%d}"
    )


def advertising_advice(node: int, host: str, port: int, used_host: str, used_port: int) -> str:
    """Explain the trap of advertised listeners, with what to change."""
    outside = port + 1 if port < 65535 else port - 1
    return (
        "A client uses the address that it is given only to ask where the brokers are; from then on it connects to "
        f"what each broker advertises. Broker {node} says {host}:{port}, and this machine cannot use that, although it "
        f"reached {used_host}:{used_port}. A broker in Docker that advertises the name of its container serves other "
        "containers alone. If all clients come from here, set in the broker's server.properties\n"
        f"  advertised.listeners=PLAINTEXT://{used_host}:{used_port}\n"
        "(in Docker: KAFKA_ADVERTISED_LISTENERS). If clients come from inside and from outside, the broker needs a "
        "listener for each, with two ports, of which the outer is published:\n"
        f"  listeners=INSIDE://:{port},OUTSIDE://:{outside}\n"
        f"  advertised.listeners=INSIDE://{host}:{port},OUTSIDE://{used_host}:{outside}\n"
        "  listener.security.protocol.map=INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT\n"
        "  inter.broker.listener.name=INSIDE\n"
        f"and clients out here then begin with {used_host}:{outside}."
    )
