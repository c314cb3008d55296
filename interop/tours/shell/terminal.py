"""quorate shell on a terminal: prompt, editing, history, completion, colours, events while typing.

  CLI='target/debug/quorate shell' terminal.py HOST:PORT

Plays a person at a pseudo-terminal: types, and waits for what must appear. Exits 0 only if all of it did.
"""
import os
import pty
import re
import select
import shlex
import subprocess
import sys
import tempfile
import time

CLI = shlex.split(os.environ.get("CLI", "target/debug/quorate shell"))
WAIT = 10
ROOT = f"/tour-terminal-{os.getpid()}-here"
UP, TAB, CTRL_C, CTRL_D = "\x1b[A", "\t", "\x03", "\x04"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    def __init__(self, hosts, home, **environment):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.pop("NO_COLOR", None)
            os.environ.update(HOME=home, TERM="xterm", **environment)
            os.execvp(CLI[0], [*CLI, "-server", hosts])
        # What is not waited for yet, and all that came.
        self.raw = self.seen = ""

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait_for(self, pattern):
        """Takes the screen's text up to the pattern's end; escapes do not count."""
        deadline = time.monotonic() + WAIT
        while True:
            plain = ESCAPES.sub("", self.raw)
            found = re.search(pattern, plain)
            if found:
                self.raw = plain[found.end():]
                return found
            ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise AssertionError(f"waited for {pattern!r}, the screen has {plain!r}")
            if not self.read():
                raise AssertionError(f"ended before {pattern!r}, the screen has {plain!r}")

    def read(self):
        """False at the end."""
        try:
            came = os.read(self.fd, 65536).decode(errors="replace")
        except OSError:
            return False
        self.raw += came
        self.seen += came
        return bool(came)

    def prompt(self):
        self.wait_for(r"\[zk: \S+\(CONNECTED\) \d+\] ")

    def ended(self):
        """The exit code."""
        while self.read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def once(hosts, *words):
    subprocess.run([*CLI, "-server", hosts, *words], check=True, capture_output=True, timeout=WAIT)


def connected(terminal):
    """The first prompt may come before the session does; an empty line asks for another."""
    terminal.wait_for("Welcome to ZooKeeper!")
    terminal.wait_for(r"state:SyncConnected type:None")
    terminal.type("\r")
    terminal.prompt()


def a_line_is_run(hosts, terminal):
    terminal.type(f"create {ROOT} 'two words'\r")
    terminal.wait_for(rf"Created {ROOT}\r")
    terminal.prompt()


def commands_and_paths_are_completed(hosts, terminal):
    terminal.type("getAll" + TAB + ROOT[:-4] + TAB + "\r")
    terminal.wait_for(rf"getAllChildrenNumber {ROOT}")
    terminal.wait_for(r"\n0\r")
    terminal.prompt()
    once(hosts, "create", f"{ROOT}/alpha", "a")
    terminal.type(f"get {ROOT}/al" + TAB + "\r")
    terminal.wait_for(rf"get {ROOT}/alpha")
    terminal.wait_for(r"\na\r")
    terminal.prompt()


def the_history_comes_back(hosts, terminal):
    terminal.type(UP + UP + "\r")
    terminal.wait_for(r"\n1\r")  # getAllChildrenNumber, one child later
    terminal.prompt()


def errors_are_red(hosts, terminal):
    terminal.raw = ""
    terminal.type("get /none\r")
    deadline = time.monotonic() + WAIT
    while "\x1b[31mNode does not exist: /none\x1b[0m" not in terminal.raw:
        if not select.select([terminal.fd], [], [], max(0, deadline - time.monotonic()))[0]:
            raise AssertionError(f"not red: {terminal.raw!r}")
        terminal.read()
    terminal.prompt()


def flags_are_completed(hosts, terminal):
    terminal.type("deleteall -" + TAB)
    terminal.wait_for("deleteall -b ")
    terminal.type(f"5 {ROOT}/alpha\r")
    terminal.prompt()
    terminal.type(f"get {ROOT}/alpha\r")
    terminal.wait_for(f"Node does not exist: {ROOT}/alpha")
    terminal.prompt()


def events_come_while_somebody_types(hosts, terminal):
    terminal.type(f"addWatch {ROOT}\r")
    terminal.prompt()
    terminal.type(f"stat {ROOT}")
    once(hosts, "create", f"{ROOT}/beta")
    terminal.wait_for(rf"WatchedEvent state:SyncConnected type:NodeCreated path:{ROOT}/beta zxid: -?\d+")
    terminal.type("/beta\r")
    terminal.wait_for(r"numChildren = 0")
    terminal.prompt()


def an_interrupt_ends_the_line_or_the_command_alone(hosts, terminal):
    terminal.type("delete /so" + CTRL_C)
    terminal.prompt()
    terminal.type(f"watch {ROOT}\r")
    terminal.wait_for(rf"watch {ROOT}\r")
    once(hosts, "set", ROOT, "x")
    terminal.wait_for(rf"NodeDataChanged {ROOT} 0x")
    terminal.type(CTRL_C)
    terminal.wait_for("interrupted")
    terminal.prompt()


def the_end_of_input_ends_the_shell(hosts, terminal):
    terminal.type("addauth digest me:secret-word\r")
    terminal.prompt()
    terminal.type(f"deleteall {ROOT}\r")
    terminal.prompt()
    terminal.type(CTRL_D)
    code = terminal.ended()
    assert code == 0, f"exit code {code}"


def another_run_has_the_history_and_no_colours_if_none_are_wanted(hosts, home):
    terminal = Terminal(hosts, home, NO_COLOR="1")
    connected(terminal)
    terminal.type("get /none\r")
    terminal.wait_for("Node does not exist: /none")
    terminal.prompt()
    # The line before it is of the run before: what follows `addauth` there.
    terminal.type(UP + UP + "\r")
    terminal.wait_for(rf"deleteall {ROOT}\r")
    terminal.wait_for(rf"Node does not exist: {ROOT}")
    terminal.type("quit\r")
    code = terminal.ended()
    assert code == 1, f"exit code {code}"
    assert not re.search(r"\x1b\[[0-9;]*m", terminal.seen), f"colours in {terminal.seen!r}"


def main(args):
    if len(args) != 1:
        sys.exit("usage: terminal.py HOST:PORT")
    failed = 0
    checks = (
        a_line_is_run, commands_and_paths_are_completed, the_history_comes_back, errors_are_red, flags_are_completed,
        events_come_while_somebody_types, an_interrupt_ends_the_line_or_the_command_alone,
        the_end_of_input_ends_the_shell)
    with tempfile.TemporaryDirectory() as home:
        terminal = Terminal(args[0], home)
        connected(terminal)
        for check in checks:
            try:
                check(args[0], terminal)
            except AssertionError as error:
                failed += 1
                print(f"FAIL {check.__name__}: {error}")
                break
        with open(os.path.join(home, ".quorate_history")) as history:
            kept = history.read()
        if not failed:
            try:
                another_run_has_the_history_and_no_colours_if_none_are_wanted(args[0], home)
            except AssertionError as error:
                failed += 1
                print(f"FAIL another run: {error}")
        if "getAllChildrenNumber" not in kept or "secret-word" in kept:
            failed += 1
            print(f"FAIL the history file holds {kept!r}")
    print(f"{len(checks) + 2 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
