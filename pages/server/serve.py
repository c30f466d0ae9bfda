"""Starts the dashboard's server: python -m pages.server.serve HOST PORT, with the access token in SOCRATES_TOKEN.

Until app.py has run once, Streamlit uses a `pages` folder for its old kind of navigation and answers a deep link with
"Page not found". So the old kind is switched off first.
"""

import os
import sys

import streamlit as st
import uvicorn
from starlette.middleware import Middleware
from streamlit.runtime.pages_manager import PagesManager
from streamlit.web import bootstrap

from pages.server import connections
from pages.server.gate import Gate

# Charts and results take a second to import: now rather than during the first visit.
from pages.view.charts import answer_charts  # noqa: F401
from socrates_core.errors import UserError
from socrates_core.projects import run_results  # noqa: F401
from socrates_core.settings import CODE, TOKEN, check_token

APP = CODE / "app.py"


def serve(host: str, port: int) -> None:
    """Serves app.py until it is stopped. Raises UserError for an address that needs an access token and has none."""
    check_token(host)
    # The usual soft limit of 1,024 open files would allow 128 connections.
    connections.raise_file_limit()
    PagesManager.uses_pages_directory = False
    gate = Middleware(Gate, host=host, port=port, token=os.environ.get(TOKEN, ""))
    sys.argv = [str(APP)]
    dashboard = st.App(APP, middleware=[gate])
    bootstrap.load_config_options({"server.address": host, "server.port": port})
    # Not dashboard.run(): it passes neither our connections nor proxy_headers=False to uvicorn. By default uvicorn
    # believes any program on this machine that claims another address in X-Forwarded-For.
    config = uvicorn.Config(
        dashboard,
        http=connections.Connection,
        ws="websockets-sansio",  # Streamlit's own choice
        ws_max_size=st.get_option("server.maxMessageSize") * 1_000_000,
        ws_per_message_deflate=False,
        ws_ping_interval=30,
        ws_ping_timeout=30,
        access_log=False,
        use_colors=False,
        proxy_headers=False,
        backlog=connections.BACKLOG,
        timeout_graceful_shutdown=5,
    )
    try:
        # uvicorn would open one address and leave the other loopback address to any program.
        sockets = connections.listen(host, port)
    except OSError as error:
        sys.exit(
            f"The dashboard cannot listen on port {port} of {host!r} and of localhost ({error.strerror})."
        )
    uvicorn.Server(config).run(sockets=sockets)


if __name__ == "__main__":
    try:
        serve(sys.argv[1], int(sys.argv[2]))
    except UserError as problem:
        sys.exit(str(problem))
