"""Workers: processes or threads that each run a server, and the supervisor that keeps them up."""
