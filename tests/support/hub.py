"""A hub of models on this machine."""

import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlparse


class Hub(ThreadingHTTPServer):
    """Takes models as the hub does and gives those in a folder; keeps what was asked and what was uploaded."""

    def __init__(self, offered: Path) -> None:
        super().__init__(("127.0.0.1", 0), HubAnswers)
        self.offered = offered
        self.commit = "a" * 40
        self.earlier = dict[str, Path]()  # what other commits offer
        self.breaks_off = ""  # the file that is sent only half
        self.sent = list[str]()
        self.asked = list[str]()
        self.files = dict[str, bytes]()
        self.made = dict[str, Any]()
        self.address = f"http://127.0.0.1:{self.server_address[1]}"


class HubAnswers(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        hub = self.server
        hub.asked.append(f"POST {self.path}")
        if self.path.endswith("/repos/create"):
            hub.made = json.loads(body)
            return self._send({"url": f"{hub.address}/org/name"})
        if self.path.endswith("/preupload/main"):
            modes = {True: "lfs", False: "regular"}
            names = [each["path"] for each in json.loads(body)["files"]]
            return self._send(
                {
                    "files": [
                        {
                            "path": name,
                            "uploadMode": modes[name.endswith(".safetensors")],
                            "shouldIgnore": False,
                        }
                        for name in names
                    ]
                }
            )
        if self.path.endswith("/objects/batch"):
            objects = json.loads(body)["objects"]
            sent = [
                {**each, "actions": {"upload": {"href": f"{hub.address}/lfs/{each['oid']}"}}}
                for each in objects
            ]
            return self._send({"transfer": "basic", "objects": sent})
        if self.path.endswith("/commit/main"):
            lines = [json.loads(line) for line in body.decode().splitlines()]
            hub.files |= {
                each["value"]["path"]: json.dumps(each).encode() for each in lines if each["key"] != "header"
            }
            return self._send(
                {"commitUrl": f"{hub.address}/org/name/commit/1", "commitOid": "1", "hookOutput": ""}
            )
        return self._send({})

    def _version(self) -> tuple[str, Path]:
        """The commit that is asked for, the newest unless one is named, and its folder."""
        hub = self.server
        named = next((commit for commit in hub.earlier if commit in self.path), None)
        return (named, hub.earlier[named]) if named else (hub.commit, hub.offered)

    def do_GET(self) -> None:
        path = urlparse(self.path).path
        commit, offered = self._version()
        if path.startswith("/api/models/org/name"):
            siblings = [{"rfilename": file.name, "size": file.stat().st_size} for file in offered.iterdir()]
            tree = [
                {"type": "file", "path": each["rfilename"], "size": each["size"], "oid": "0"}
                for each in siblings
            ]
            return self._send(
                tree if "/tree/" in path else {"id": "org/name", "sha": commit, "siblings": siblings}
            )
        self._send_file(path)

    def do_HEAD(self) -> None:
        self._send_file(self.path, head=True)

    def _send_file(self, path: str, *, head: bool = False) -> None:
        file = self._version()[1] / path.rpartition("/")[2]
        if not file.is_file():
            return self.send_error(404)
        if not head:
            self.server.sent.append(file.name)
        self._send_bytes(file.read_bytes(), head=head, half=file.name == self.server.breaks_off)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append("PUT lfs")
        self.server.files[self.path.removeprefix("/lfs/")] = content
        self._send({})

    def _send(self, told: object) -> None:
        self._send_bytes(json.dumps(told).encode())

    def _send_bytes(self, content: bytes, *, head: bool = False, half: bool = False) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", self._version()[0])
        self.end_headers()
        if not head:
            self.wfile.write(content[: len(content) // 2] if half else content)
        self.close_connection = half
