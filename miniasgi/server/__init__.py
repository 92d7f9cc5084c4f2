"""The event loop's side: sockets, connections, their deadlines, starting and stopping."""
