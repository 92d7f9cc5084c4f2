"""What is listened to, and what comes on a connection before HTTP does."""
