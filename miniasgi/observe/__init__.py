"""What the server says of itself: logs and access lines."""
