"""Applications to try the server with; a test runs each of them."""
