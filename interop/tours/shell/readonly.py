"""quorate shell at a server that has lost its quorum: with -r it reads there, without it does not.

  CLI='target/debug/quorate shell' readonly.py

Starts a Java server of its own, one of three that are not there, in read-only mode. Its sessions must be local: 3.8.0
refuses all others in that mode.
"""
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time

CLI = shlex.split(os.environ.get("CLI", "target/debug/quorate shell"))
REFERENCE = pathlib.Path(__file__).parent / "../../reference"
WAIT = 30
CHECKS = (
    (("-r", "ls", "/"), 0, "[zookeeper]\n", ""),
    (("-r", "create", "/a"), 1, "", "Not a read-only call: /a\n"),
    (("-r", "get", "/none"), 1, "", "Node does not exist: /none\n"),
    (("-timeout", "1000", "ls", "/"), 1, "", "KeeperErrorCode = ConnectionLoss for /\n"),
)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def run(hosts, words):
    done = subprocess.run([*CLI, "-server", hosts, *words], text=True, capture_output=True, timeout=WAIT)
    return done.returncode, done.stdout, done.stderr


def checks(hosts):
    deadline = time.monotonic() + WAIT
    while run(hosts, ("-timeout", "1000", "-r", "ls", "/"))[0] != 0:
        if time.monotonic() > deadline:
            print("FAIL the server does not serve reads")
            return 0, 1
    passed = failed = 0
    for words, *want in CHECKS:
        got = list(run(hosts, words))
        if got == want:
            passed += 1
        else:
            failed += 1
            print(f"FAIL {' '.join(words)}: want {want}, got {got}")
    return passed, failed


def main():
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        port, *ports = free_ports(7)
        servers = "".join(f"server.{i + 1}=127.0.0.1:{ports[2 * i]}:{ports[2 * i + 1]}\n" for i in range(3))
        (work / "zoo.cfg").write_text(
            f"tickTime=500\ninitLimit=5\nsyncLimit=2\ndataDir={work}/data\nclientPort={port}\n"
            f"localSessionsEnabled=true\n{servers}")
        (work / "data").mkdir()
        (work / "data/myid").write_text("1\n")
        server = subprocess.Popen(
            [REFERENCE, "3.8", work / "zoo.cfg"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "SERVER_JVMFLAGS": "-Dreadonlymode.enabled=true"})
        try:
            passed, failed = checks(f"127.0.0.1:{port}")
        finally:
            server.send_signal(signal.SIGKILL)
            server.wait()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
