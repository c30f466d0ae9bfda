"""The dashboard under attack by real programs: from another machine, by a flood of connections, by several starts."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pages.server.sessions import RANDOM_NAME
from tests.faults.trials import TRIALS, fault
from tests.support.processes import ROOT, app_command
from tests.support.servers import (
    HALF,
    SECRET,
    answers,
    end,
    free_port,
    seconds_to_health,
    servers_of,
    serving,
    sign_in,
    visit,
)
from tests.support.waiting import wait_until

FLOOD_SECONDS = 10
HERE, THERE = "198.51.100.1", "198.51.100.2"  # of the two machines, from a range that is kept for examples

# Opens connections with half a request each, as fast as it can, and drops the oldest of its own 400.
FLOOD = """
import socket, sys, time
port, until, held = int(sys.argv[1]), time.monotonic() + float(sys.argv[2]), []
n = 0
while time.monotonic() < until:
    try:
        one = socket.create_connection(("127.0.0.1", port), timeout=1)
        one.sendall(sys.argv[3].encode())
        held.append(one)
        n += 1
    except OSError:
        continue
    if len(held) > 400:
        held.pop(0).close()
print(n)
"""


@contextmanager
def two_machines() -> Iterator[tuple[list[str], list[str]]]:
    """What runs a command on each of two machines that share a cable: network namespaces of the kernel."""
    sleeping = ["unshare", "--net", "sleep", "600"]
    first, second = subprocess.Popen(sleeping), subprocess.Popen(sleeping)
    on_first, on_second = (["nsenter", "--target", str(each.pid), "--net"] for each in (first, second))
    ours = os.readlink("/proc/self/ns/net")
    try:
        wait_until(lambda: all(os.readlink(f"/proc/{each.pid}/ns/net") != ours for each in (first, second)))
        cable = ["ip", "link", "add", "c0", "type", "veth", "peer", "name", "c0", "netns", str(second.pid)]
        subprocess.run([*on_first, *cable], check=True)
        for command, address in ((on_first, HERE), (on_second, THERE)):
            subprocess.run([*command, "ip", "address", "add", f"{address}/24", "dev", "c0"], check=True)
            for device in ("lo", "c0"):
                subprocess.run([*command, "ip", "link", "set", device, "up"], check=True)
        yield on_first, on_second
    finally:
        for each in (first, second):
            each.kill()
            each.wait()


def curl(machine: list[str], url: str, *arguments: str) -> str:
    """The status, the address to go to and the cookie of an answer, as curl reads them."""
    shown = ["--output", "/dev/null", "--write-out", "%{http_code} %{redirect_url} %header{set-cookie}"]
    done = subprocess.run(
        [*machine, "curl", "--silent", "--noproxy", "*", *shown, *arguments, url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


@pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "ip", "curl"))),
    reason="needs root, for a second machine",
)
@fault(
    "a cookie that another machine's browser brought", "of no use on this machine; a forged address neither"
)
def test_the_cookie_of_a_browser_on_another_machine_is_of_no_use_here(quiet_home: Path) -> None:
    port = free_port()
    url = f"http://{HERE}:{port}"
    with two_machines() as (here, there):
        served = subprocess.Popen(
            [*here, *app_command(port), "--host", "0.0.0.0"],
            cwd=ROOT,
            env=os.environ | {"SOCRATES_TOKEN": SECRET},
        )
        wait_until(lambda: curl(here, f"{url}/_stcore/health").startswith("200"), step=0.3)
        assert curl(there, f"{url}/jobs").startswith("401")
        entered = curl(there, f"{url}/access", "--data", f"token={SECRET}&next=/jobs")
        status, moved, cookie = entered.split(" ", 2)
        assert (status, moved) == ("303", f"{url}/jobs") and cookie.startswith("socrates_"), entered
        bring = ("--cookie", cookie.split(";")[0])
        assert curl(there, f"{url}/jobs", *bring).startswith("200")
        for forged in (
            "X-Forwarded-For",
            "X-Real-IP",
            "Forwarded",
        ):  # what a server here gets, it tries itself
            named = f"for={THERE}" if forged == "Forwarded" else THERE
            assert curl(here, f"{url}/jobs", *bring, "--header", f"{forged}: {named}").startswith("401"), (
                forged
            )
            loopback = f"http://127.0.0.1:{port}/jobs"
            assert curl(here, loopback, *bring, "--header", f"Host: {HERE}:{port}").startswith("401")
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Max-Age=43" in cookie
        here_entered = curl(here, f"{url}/access", "--data", f"token={SECRET}").split(" ", 2)
        assert RANDOM_NAME.fullmatch(urlsplit(here_entered[1]).hostname or "") and not here_entered[2]
        assert "Max-Age=0" in curl(there, f"{url}/access/leave", *bring)
        assert curl(there, f"{url}/jobs", *bring).startswith("401")
        end(served)


@fault("connections opened without pause", "the dashboard answers within 5 s; sessions go on")
def test_a_flood_of_connections_does_not_stop_the_dashboard(quiet_home: Path) -> None:
    with serving(SOCRATES_TOKEN=SECRET) as (port, _):
        name, cookie = sign_in(port)
        command = [sys.executable, "-c", FLOOD, str(port), str(FLOOD_SECONDS), HALF.decode()]
        floods = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        until = time.monotonic() + FLOOD_SECONDS - 1
        slowest, n_lost, n_asked = 0.0, 0, 0
        while time.monotonic() < until:
            n_asked += 1
            begun = time.monotonic()
            try:
                seconds_to_health(port)
                assert visit(port, "/", name, Cookie=cookie).status == 200
            except ConnectionError:
                n_lost += 1
            slowest = max(slowest, time.monotonic() - begun)
        n_opened = sum(int(flood.communicate()[0]) for flood in floods)
        assert n_opened > 1000 and slowest < 5 and n_lost <= n_asked // 10, (
            n_opened,
            slowest,
            n_lost,
            n_asked,
        )


@fault(
    "several starts at the same moment",
    "one server; the others, asked for ports of their own, name its address",
    TRIALS,
)
def test_of_several_starts_at_the_same_moment_one_serves(quiet_home: Path) -> None:
    for _ in range(TRIALS):
        ports = [free_port() for _ in range(3)]
        starts = [
            subprocess.Popen(app_command(port), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for port in ports
        ]
        wait_until(lambda starts=starts: sum(each.poll() is None for each in starts) == 1, step=0.1)  # type: ignore[misc]
        (stays,) = [each for each in starts if each.poll() is None]
        port = ports[starts.index(stays)]
        answers(port, stays)
        assert len(servers_of(quiet_home)) == 1
        for each in starts:
            if each is not stays:
                assert each.returncode == 2 and f"http://localhost:{port}," in each.communicate()[1].decode()
        end(stays)
        assert not (quiet_home / "dashboard.json").exists()
