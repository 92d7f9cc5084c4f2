"""TLS: its options, its contexts, its certificates."""
