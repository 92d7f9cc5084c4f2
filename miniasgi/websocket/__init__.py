"""WebSockets (RFC 6455) without a socket: the handshake, and messages from octets and back."""
