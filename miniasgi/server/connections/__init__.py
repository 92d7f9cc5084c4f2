"""One connection: requests in, responses out, its pace, its end, and what it may become."""
