"""
What the settings are: frozen classes, sizes in bytes and times in seconds.

How they are made from a file, with every check, is `orion_twisted.core.config`; made by hand, as
in tests, they are taken as they are.
"""

from attrs import field, frozen

from orion_twisted.core.addresses import DIAL_IN, Listener
from orion_twisted.core.fields import (
    AdminListener,
    Algorithm,
    Backend,
    CertificateName,
    Count,
    DialectName,
    DialInField,
    Duration,
    DurationOrZero,
    Embedder,
    File,
    Flag,
    Folder,
    FramingName,
    HeaderSize,
    HostPattern,
    Links,
    ListenerField,
    MessageType,
    ModeName,
    Name,
    Network,
    Origin,
    PerformanceName,
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
GIB = 1024 * MIB

TUNNEL_SUBPROTOCOLS = ("binary", "mqtt")
"""What a tunnel agrees to when the settings say nothing: websockify's clients, and MQTT's."""

SESSION_SUBPROTOCOLS = ("orion.v2", "orion.v1")
"""The dialects that a session speaks with browsers, all there are, the better one first."""

MAX_LINK_HEADER = 1024
"""Bytes of a frame that are no payload, in ``orion.v2`` on a link: a header line and its newline
are never longer, either way."""

MAX_REWRITTEN = 128
"""Bytes that a message may grow by on its way to an ``orion.v1`` backend, where it does not pass
as it is: its id becomes one of the link's, of 20 digits at most, and on a shared link
``@SESSION`` is added."""


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
    memory: Size = 1 * GIB
    """Payload bytes that all sessions hold together."""
    held: Count = 200_000
    """Messages that all sessions hold together."""
    sessions: Count = 40_000
    """Sessions, attached or waiting for their browser to come back."""


@frozen(kw_only=True)
class TenantLimits:
    """A tenant's own limits, where it has any: never above those of the node."""

    message: Size | None = None
    connections: Count | None = None
    memory: Size | None = None
    held: Count | None = None
    sessions: Count | None = None


@frozen(kw_only=True)
class SessionSettings:
    """What is kept for a browser while its socket or its link is away."""

    ttl: DurationOrZero = 120.0
    """How long a session outlives its socket."""
    window: Count = 64
    """Messages held for a session, each way; then its browser is read no further, or the oldest
    pushes go."""
    window_bytes: Size = 1 * MIB
    """Payload bytes, likewise; a relay has this one only, towards its backend."""
    deadline: Duration = 30.0
    """How long a message may take that states no time of its own."""


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
class DialInSettings:
    """How a tenant's backends are known when they dial in."""

    token_file: File
    """What they have to say in their ``hello``."""


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
    """Twisted client endpoint strings; or ``dial-in``, alone."""
    dial_in: DialInSettings | None = None
    """With backends that dial in."""
    mode: ModeName = "relay"
    dialect: DialectName = "orion.v1"
    """What a session speaks with its backend."""
    links: Links = 0
    """How many the sessions share; 0: each has its own."""
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
        match self.mode:
            case "tunnel":
                return TUNNEL_SUBPROTOCOLS
            case "session":
                return SESSION_SUBPROTOCOLS
        return ()

    @property
    def dials_in(self) -> bool:
        """Whether the backend connects to the gateway, and not the other way."""
        return self.backend == (DIAL_IN,)

    @property
    def shares_links(self) -> bool:
        """Whether one link carries the messages of several sessions."""
        return self.links > 0 or self.dials_in


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
    dial_in: tuple[DialInField, ...] = ()
    """Where backends dial in."""
    workers: Workers = 1
    """How many processes; 0: one for each CPU that this one may use."""
    performance: PerformanceName = "full"
    """Which parts carry messages: ``full`` all of our own, ``portable`` those in Python alone,
    ``stock`` Twisted's and Autobahn's."""
    limits: Limits = Limits()
    tenants: tuple[Tenant, ...] = ()


def effective_message_limit(settings: Settings, tenant: Tenant) -> int:
    """Return the largest message of a tenant, in bytes: the node's, its own, the framing's."""
    limits = [settings.limits.message]
    if tenant.limits.message is not None:
        limits.append(tenant.limits.message)
    largest = None if tenant.mode == "tunnel" else largest_payload(tenant.framing)
    if largest is not None:
        limits.append(largest - link_overhead(tenant))
    return min(limits)


def link_overhead(tenant: Tenant) -> int:
    """Return how many bytes longer than its message a frame of a tenant's link may be."""
    if tenant.mode == "tunnel":
        return 0
    if tenant.mode == "relay":
        return message_codec(tenant.message_type).overhead
    if tenant.dialect == "orion.v2":
        return MAX_LINK_HEADER
    passes_as_it_is = not tenant.shares_links and "orion.v2" not in tenant.subprotocols
    return 0 if passes_as_it_is else MAX_REWRITTEN
