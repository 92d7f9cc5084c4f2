"""The supervisor: which workers there should be, which there are, and what is done about it."""
