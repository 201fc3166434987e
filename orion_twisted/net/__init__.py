"""Shells around sockets: TLS, WebSocket and backend links. They carry bytes and decide nothing."""
