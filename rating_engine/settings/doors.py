"""Settings of what listens, whom it lets in, and how much anybody may ask."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from rating_engine.settings.texts import Group, Port, Texts, check_networks


class DoorSettings(Group):
    """FastAGI, HTTP, requests a minute, bans."""

    # --- FastAGI
    fastagi_host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on. AGI has no password: open it to Asterisk machines only, together"
        " with fastagi_allowed_networks.",
    )
    fastagi_port: Port = Field(4573, description="4573 is the port Asterisk assumes in agi://HOST. 0 = any free.")
    fastagi_allowed_networks: Texts = Field(
        ("127.0.0.0/8", "::1/128"),
        description="Networks that may connect; others are cut off before a byte is read. In the environment"
        " separated by commas.",
    )
    fastagi_max_connections: int = Field(
        800,
        ge=1,
        le=100_000,
        description="Open FastAGI connections of one worker. Where all are taken, the one that has waited longest for"
        " its request gives way to a new one; only if all are calls the new one is refused. A process has 1,024 file"
        " descriptors by default, and PostgreSQL, Redis and HTTP need some.",
    )
    fastagi_request_timeout_seconds: float = Field(
        5.0,
        ge=0.1,
        le=300.0,
        description="From the connection to the end of its request's header. Asterisk sends it at once; who"
        " sends one byte a second is not Asterisk.",
    )

    # --- HTTP
    http_host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on for metrics and health, which have no password.",
    )
    http_port: Port = Field(8080, description="Port of metrics and health. 0 = any free.")
    http_max_connections: int = Field(
        200,
        ge=1,
        le=100_000,
        description="Open HTTP connections of one worker. Where all are taken, the one that has waited longest for a"
        " request gives way to a new one; only if all are being answered the new one gets 503.",
    )

    http_trusted_proxies: Texts = Field(
        (),
        description="Networks of the proxies before this port (nginx, Caddy, a load balancer). From them alone it is"
        " believed who asks and whether over https; keys for https alone, addresses of keys, bans and limits then"
        " count for who really asks. Empty: the connection itself says so. In the environment separated by commas.",
    )
    http_proxy_header: Literal["x-forwarded", "forwarded"] = Field(
        "x-forwarded",
        description="How these say it. x-forwarded: X-Forwarded-For and X-Forwarded-Proto; forwarded: Forwarded (RFC"
        " 7239). The other form is not looked at, since most proxies pass on what a client has written there.",
    )

    # --- requests a minute
    address_requests_per_minute: int = Field(
        1_200,
        ge=0,
        le=1_000_000,
        description="Requests of one address (of IPv6: its /64) over HTTP in any minute, server keys apart: 20 a second"
        " are an office behind one router, and a guesser of keys gets nowhere. More is answered 429. Counted in Redis"
        " for all engines; without Redis each worker counts for itself. 0: any number.",
    )
    client_key_requests_per_minute: int = Field(
        12_000,
        ge=0,
        le=1_000_000,
        description="Requests with one client key, whoever shows it: such keys are public, and all telephones of an"
        " installation may have the same. 200 a second. 0: any number.",
    )
    server_key_requests_per_minute: int = Field(
        12_000,
        ge=0,
        le=1_000_000,
        description="Requests with one server key, or a tenant's token, that has no figure of its own: 100 calls a"
        " second, and a program that asks in a circle is stopped before calls feel it. An exchange that brings more is"
        " given its own (key set NAME --rate-limit). 0: any number.",
    )

    # --- bans
    ban_wrong_keys: int = Field(
        5,
        ge=0,
        le=100,
        description="So many different wrong API keys from one address (of IPv6: its /64) within ban_window_seconds ban"
        " it. The same wrong key again, as of one old telephone, counts once; whitelisted addresses never. One would"
        " lock a whole office out for a slip. 0: nothing is banned by itself.",
    )
    ban_failed_logins: int = Field(
        20,
        ge=0,
        le=100,
        description="So many logins that failed at a watched exchange within ten minutes (SIP registrations and calls,"
        " its manager port; needs read = security in its manager.conf) ban their address for ban_seconds. A telephone"
        " with a wrong password tries ten times in that time, who guesses thousands. 0: nothing is banned by it.",
    )
    ban_window_seconds: int = Field(3_600, ge=1, le=86_400, description="How long a wrong key is remembered.")
    ban_seconds: int = Field(
        3_600,
        ge=0,
        le=31_536_000,
        description="How long such a ban lasts. Who guesses keys of 256 bits gets nowhere in any time; who has put an"
        " old key into a telephone is let in again by itself. 0: until somebody takes it away.",
    )

    ban_file: str = Field(
        "",
        description="Where what is banned is written for the packet filter of this machine, anew at each change: bans"
        " alone keep the engine's own ports closed. Its directory has to be writable. Empty: nowhere.",
    )
    ban_file_format: Literal["nftables", "ipset"] = Field(
        "nftables",
        description="nftables: sets banned4 and banned6 of the table inet rating_engine, for `nft -f`; ipset: sets"
        " rating_engine_banned4 and rating_engine_banned6, for `ipset restore`.",
    )
    ban_file_command: str = Field(
        "",
        description="Run when the file has changed, without a shell, such as `sudo -n nft -f /run/rating/bans.nft`."
        " Empty: nothing is run; a systemd path unit can watch the file as well.",
    )

    @field_validator("fastagi_allowed_networks", "http_trusted_proxies")
    @classmethod
    def _check_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return check_networks(value)
