"""Between a connection and an application: scopes, messages, their order. Knows futures, not sockets."""
