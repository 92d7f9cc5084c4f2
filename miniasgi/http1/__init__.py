"""HTTP/1.1 itself: what octets mean and how answers are written. No I/O, no event loop, no clock."""
