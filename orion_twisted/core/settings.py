"""
What the settings are: frozen classes, sizes in bytes and times in seconds.

How they are made from a file, with every check, is `orion_twisted.core.config`; made by hand, as
in tests, they are taken as they are.
"""

from attrs import field, frozen

from orion_twisted.core.addresses import Listener
from orion_twisted.core.fields import (
    AdminListener,
    Algorithm,
    Backend,
    CertificateName,
    Count,
    Duration,
    DurationOrZero,
    Embedder,
    File,
    Flag,
    Folder,
    FramingName,
    HeaderSize,
    HostPattern,
    ListenerField,
    MessageType,
    ModeName,
    Name,
    Network,
    Origin,
    Rate,
    SiteFolder,
    Size,
    SizeOrZero,
    TextRuleName,
    Token,
    UrlPath,
    Workers,
)
from orion_twisted.core.frames import largest_payload
from orion_twisted.core.messages import message_codec

KIB = 1024
MIB = 1024 * KIB

TUNNEL_SUBPROTOCOLS = ("binary", "mqtt")
"""What a tunnel agrees to when the settings say nothing: websockify's clients, and MQTT's."""


@frozen(kw_only=True)
class Limits:
    """What the whole node allows: sizes in bytes, times in seconds."""

    message: Size = 1 * MIB
    """One WebSocket message, either way; after inflating, where it came compressed."""
    header: HeaderSize = 16 * KIB
    """A request's line and headers."""
    connections: Count = 20_000
    """Browsers, all tenants together."""
    connections_per_ip: Count = 200
    connect_rate_per_ip: Rate = 1000
    """New connections per second of one address; 0 is no limit."""
    pending_handshakes: Count = 512
    """Sockets that have not finished TLS and the upgrade; they take no browser's place."""
    pending_handshakes_per_ip: Count = 32
    handshake: Duration = 5.0
    """From accept to the end of the upgrade."""
    message_time: Duration = 120.0
    """From the first byte of a message to its last."""
    message_rate: Rate = 0
    """Messages per second of one browser; 0 is no limit."""
    byte_rate: SizeOrZero = 0
    """Payload bytes per second of one browser; 0 is no limit."""
    ping_every: Duration = 20.0
    ping_timeout: Duration = 10.0
    """How long a browser may take to answer a ping."""
    idle: DurationOrZero = 0.0
    """How long a browser and its backend may say nothing to each other; 0 is for ever."""
    drain: DurationOrZero = 30.0
    """How long open connections may go on once the gateway stops."""


@frozen(kw_only=True)
class TenantLimits:
    """A tenant's own limits, where it has any: never above those of the node."""

    message: Size | None = None
    connections: Count | None = None


@frozen(kw_only=True)
class SessionSettings:
    """What is kept for a browser while its link is away."""

    window_bytes: Size = 1 * MIB
    """How much may wait towards the backend; then the browser is read no further."""


@frozen(kw_only=True)
class TokenSettings:
    """The tokens that let browsers in: JSON Web Tokens (RFC 7519)."""

    key_file: File
    """A key, or a folder of keys, each named by its id."""
    algorithms: tuple[Algorithm, ...] = ("HS256",)
    required: Flag = True
    """Whether a browser without one stays outside."""
    audience: Name = "orion-bridge"
    """What ``aud`` has to name."""
    most_life: Duration = 3600.0
    """The longest time from now to ``exp``."""


@frozen(kw_only=True)
class Tenant:
    """All that is known of one customer: the table ``[tenant.NAME]``. Times are in seconds."""

    name: str = "default"
    """The table's key."""
    hosts: tuple[HostPattern, ...]
    """Host names, ``*.suffix`` or ``*``, each in its one spelling."""
    path: UrlPath = "/ws"
    """Where the WebSocket is, as it travels (percent-encoded)."""
    backend: tuple[Backend, ...]
    """Twisted client endpoint strings."""
    mode: ModeName = "relay"
    framing: FramingName = "int32"
    message_type: MessageType = "text"
    subprotocols: tuple[Token, ...] = field()
    text: TextRuleName = "refuse"
    """What a tunnel does with a text message."""
    link_grace: DurationOrZero = 30.0
    """How long a browser is kept while its link is away."""
    dial_timeout: Duration = 5.0
    """How long the first dial for a browser may take."""
    compression: Flag = False
    """Whether permessage-deflate is agreed to."""
    site: SiteFolder | None = None
    """A folder of pages."""
    origins: tuple[Origin, ...] | None = None
    """Whose pages may connect; None: those of the request's own host."""
    allow_no_origin: Flag = False
    """With ``origins``: whether a client that is no browser may come without a token."""
    embed_in: tuple[Embedder, ...] = ()
    """Whose pages may show this tenant's in a frame."""
    token: TokenSettings | None = None
    client_ca: File | None = None
    """A file of authorities; with it, clients have to show a certificate of theirs."""
    session: SessionSettings = SessionSettings()
    limits: TenantLimits = TenantLimits()

    @subprotocols.default
    def _subprotocols_of_the_mode(self) -> tuple[str, ...]:
        return TUNNEL_SUBPROTOCOLS if self.mode == "tunnel" else ()


@frozen(kw_only=True)
class Settings:
    """Everything that a node is told."""

    listen: tuple[ListenerField, ...] = (Listener("tls", 8889, "", "tcp:8889", secure=True),)
    certificates: Folder = "certs"
    """A folder."""
    fallback: CertificateName | None = None
    """The certificate that answers missing and unknown names."""
    strict_sni: Flag = False
    """Refuse handshakes for unknown and missing names, instead of falling back."""
    admin: AdminListener | None = None
    """Where health, metrics and the dashboard are."""
    proxy_protocol_from: tuple[Network, ...] = ()
    """Networks of proxies, whose connections must begin with a PROXY header."""
    workers: Workers = 1
    limits: Limits = Limits()
    tenants: tuple[Tenant, ...] = ()


def effective_message_limit(settings: Settings, tenant: Tenant) -> int:
    """Return the largest message of a tenant, in bytes: the node's, its own, the framing's."""
    limits = [settings.limits.message]
    if tenant.limits.message is not None:
        limits.append(tenant.limits.message)
    if tenant.mode == "relay":
        largest = largest_payload(tenant.framing)
        if largest is not None:
            limits.append(largest - message_codec(tenant.message_type).overhead)
    return min(limits)
