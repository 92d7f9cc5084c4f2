"""What a process is to the operating system, to a terminal and to a service manager."""
