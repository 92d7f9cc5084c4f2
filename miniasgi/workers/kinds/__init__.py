"""The kinds of workers, as their supervisor has them: processes, forks and threads, and how one talks to them."""
