"""nginx as it is compared: one process that stays in the foreground, without an access log."""

from .server import Start, find_program

# It keeps its user, who may read the files.
_CONFIGURATION = """\
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx-{port}.pid;
error_log stderr warn;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  default_type application/octet-stream;
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/nginx-{port}-body;
  proxy_temp_path {folder}/nginx-{port}-proxy;
  fastcgi_temp_path {folder}/nginx-{port}-fastcgi;
  uwsgi_temp_path {folder}/nginx-{port}-uwsgi;
  scgi_temp_path {folder}/nginx-{port}-scgi;
  server {{
    listen 127.0.0.1:{port}{listen} backlog=4096;
{server}
  }}
}}
"""


def nginx_command(start: Start, server: str, listen: str = "") -> list[str]:
    """The command that runs nginx with those lines of a server, and those words more where it listens."""
    configuration = start.folder / f"nginx-{start.port}.conf"
    told = _CONFIGURATION.format(folder=start.folder, port=start.port, listen=listen and f" {listen}", server=server)
    configuration.write_text(told)
    return [find_program("nginx") or "nginx", "-p", str(start.folder), "-c", str(configuration), "-e", "stderr"]
