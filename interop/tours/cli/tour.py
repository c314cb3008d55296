"""A tour of zkCli.sh, Debian's Java shell of ZooKeeper: its commands against a server, and what it prints.
With CLI='quorate shell' in the environment it is a tour of that shell instead, which must print the same.

  tour.py HOST:PORT [3.8|3.9]            checks the file `session` beside this one, then commands given as arguments
  tour.py --transcript HOST:PORT         prints the session as it went, for comparison with another server's
  tour.py --record HOST:PORT             rewrites `session` with what this server, the reference, answers

The session is one interactive run. In the file a line `> command` is typed, and the lines below it are what must
be printed, in order, stdout and stderr together. `! TYPE PATH` waits for that watch event. `> 3.9 command` and
`> 3.8 command` are typed for that release only, the one that the second argument names (3.9 without).

What differs between runs is masked: zxids and session ids as <hex>, dates as <date>; lists are sorted.
The word /tour stands for a path of this run's own.
"""
import difflib
import os
import pathlib
import queue
import re
import shlex
import subprocess
import sys
import threading

CLI = shlex.split(os.environ.get("CLI", "/usr/share/zookeeper/bin/zkCli.sh"))
SESSION = pathlib.Path(__file__).with_name("session")
WAIT = 10
# Of one width: some answers tell a place in the whole path.
ROOT = f"/tour-cli-{os.getpid() % 100000:05}"

# Typed behind each command; its answer, made by the client alone, ends that command's output.
MARK = "printwatches"
MARK_ANSWER = re.compile(r"printwatches is (on|off)$")
EVENT = re.compile(r"WatchedEvent state:(\w+) type:(\w+) path:(\S+)")
MASKS = (
    (re.compile(r"0x(?!0\b)[0-9a-f]+"), "<hex>"),
    (re.compile(r"(?<=time = ).*"), "<date>"),
    (re.compile(r"(?<=ZooKeeper CLI version: ).*"), "<version>"),
    (re.compile(re.escape(ROOT) + r"\b"), "/tour"),
)


def masked(line):
    for pattern, instead in MASKS:
        line = pattern.sub(instead, line)
    # Some lists come in the order of a hash table.
    return "[" + ", ".join(sorted(line[1:-1].split(", "))) + "]" if re.fullmatch(r"\[.*\]", line) else line


def is_chatter(line):
    """Lines that are the client's own: logging, its banner, the list of commands behind an error."""
    return line.startswith(("SLF4J:", "Connecting to", "Welcome to", "JLine support", "ZooKeeper -server", "\t"))


class Shell:
    """One interactive run: gives back what each command printed, watch events apart."""

    def __init__(self, hosts):
        self.process = subprocess.Popen(
            [*CLI, "-server", hosts], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.lines, self.events = queue.Queue(), queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            line = line.rstrip()
            event = EVENT.search(line)
            if event:
                _, kind, path = event.groups()
                # Session states come when they come; a command that needs them fails without.
                if kind != "None":
                    self.events.put(f"{kind} {masked(path)}")
            elif not is_chatter(line) and line not in ("", "WATCHER::"):
                self.lines.put(line)
        self.lines.put(None)

    def run(self, command):
        self.process.stdin.write(command.replace("/tour", ROOT) + "\n" + MARK + "\n")
        self.process.stdin.flush()
        marks, printed = 1 + (command == MARK), []
        while True:
            try:
                line = self.lines.get(timeout=WAIT)
            except queue.Empty:
                return printed + ["(nothing more came)"]
            if line is None:
                return printed + ["(the shell ended)"]
            if MARK_ANSWER.match(line):
                marks -= 1
                if marks == 0:
                    return printed
            printed.append(masked(line))

    def event(self):
        try:
            return self.events.get(timeout=WAIT)
        except queue.Empty:
            return "(no event)"

    def quit(self):
        self.process.stdin.write("quit\n")
        self.process.stdin.close()
        return self.process.wait(WAIT)


def steps(text, release):
    """The (line typed or awaited, lines expected) of a session file; comments are dropped."""
    found, skipping = [], False
    for line in text.splitlines():
        only = re.match(r"> (3\.\d) (.*)", line)
        if only:
            skipping = only[1] != release
            line = "> " + only[2]
        elif line.startswith((">", "!")):
            skipping = False
        if skipping or line.startswith("#") or not line:
            continue
        if line.startswith((">", "!")):
            found.append((line, []))
        else:
            found[-1][1].append(line)
    return found


def play(hosts, wanted):
    """What a session gives: for each step its line and what came."""
    shell, went = Shell(hosts), []
    for line, _ in wanted:
        if line.startswith("!"):
            went.append(("! " + shell.event(), []))
        else:
            printed = shell.run(line[2:].replace("HOST:PORT", hosts))
            if line == "> whoami":  # a heading, and a set in the order of a hash table
                printed[1:] = sorted(printed[1:])
            went.append((line, printed))
    code = shell.quit()
    unheard = []
    while not shell.events.empty():
        unheard.append(shell.events.get())
    return went, unheard, code


def text_of(steps):
    return "".join(line + "\n" + "".join(out + "\n" for out in printed) for line, printed in steps)


# Debian's zkCli.sh is that of 3.8, where this usage had two flags less.
OURS = {"> get": ["get [-s] [-w] [-b] [-x] path"]}


# Commands given as arguments: what is typed, the exit code, stdout, and a line of stderr.
ONCE = (
    ("create /tour x", 0, "", "Created /tour"),
    ("create /tour x", 1, "", "Node already exists: /tour"),
    ("get /tour", 0, "x", ""),
    ("ls /tour", 0, "[]", ""),
    ("get /tour/none", 1, "", "Node does not exist: /tour/none"),
    ("set -v 5 /tour y", 1, "", "version No is not valid : /tour"),
    ("nosuch", 127, "", "Command not found: Command not found nosuch"),
    ("getAcl", 1, "", "getAcl [-s] path"),
    ("create -s /tour/seq x", 0, "", "Created /tour/seq0000000000"),
    ("getAllChildrenNumber /tour", 0, "1", ""),
    ("-timeout 9000 -r get /tour", 0, "x", ""),
    ("-waitforconnection get /tour", 0, "x", ""),
    # Within a chroot its paths are what is typed and what is printed.
    ("-server HOST:PORT/tour ls /", 0, "[seq0000000000]", ""),
    ("-server HOST:PORT/tour create /in y", 0, "", "Created /in"),
    ("-server HOST:PORT/tour get /none", 1, "", "Node does not exist: /none"),
    ("-server HOST:PORT/tour/in get /", 0, "y", ""),
    ("deleteall /tour", 0, "", ""),
    ("ls /tour", 1, "", "Node does not exist: /tour"),
)

# Lines from a pipe, and the exit code that they leave: that of the last command before the end.
PIPED = (
    ("ls /none", 1),
    ("ls /none\nls /", 0),
    ("ls /\nls /none\nquit", 1),
    ("nosuch\n\n", 127),
    ("ls /none\nprintwatches\nquit", 0),
)


def once(hosts, command):
    words = [word.replace("/tour", ROOT).replace("HOST:PORT", hosts) for word in command.split()]
    done = subprocess.run([*CLI, "-server", hosts, *words], text=True, capture_output=True, timeout=WAIT)
    lines = {}
    for name, text in (("out", done.stdout), ("err", done.stderr)):
        kept = [masked(line) for line in text.splitlines() if not (is_chatter(line) or EVENT.search(line))]
        lines[name] = "\n".join(line for line in kept if line not in ("", "WATCHER::"))
    return done.returncode, lines["out"], lines["err"]


def piped(hosts, lines):
    """The exit code."""
    return subprocess.run(
        [*CLI, "-server", hosts], text=True, input=lines + "\n", capture_output=True, timeout=WAIT).returncode


def check(hosts, release):
    passed = failed = 0
    for command, *want in ONCE:
        got = list(once(hosts, command))
        if got == want:
            passed += 1
        else:
            failed += 1
            print(f"FAIL {CLI[0]} {command}: want {want}, got {got}")
    for lines, want in PIPED:
        got = piped(hosts, lines)
        if got == want:
            passed += 1
        else:
            failed += 1
            print(f"FAIL {CLI[0]} < {lines!r}: want exit code {want}, got {got}")
    wanted = steps(SESSION.read_text(), release)
    if "CLI" in os.environ:
        wanted = [(line, OURS.get(line, printed)) for line, printed in wanted]
    went, unheard, code = play(hosts, wanted)
    for want, got in zip(wanted, went):
        if want == got:
            passed += 1
            continue
        failed += 1
        print(f"FAIL {want[0]}")
        sides = (text_of([want]).splitlines(), text_of([got]).splitlines())
        for line in difflib.unified_diff(*sides, "want", "got", lineterm="", n=9):
            print("     " + line)
    if unheard or code != 0:
        failed += 1
        print(f"FAIL at the end: exit code {code}, events that nobody awaited: {unheard}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def record(hosts):
    """Keeps comments, blank lines and steps for another release; replaces the rest."""
    text = SESSION.read_text()
    went = iter(play(hosts, steps(text, "3.9"))[0])
    out, other = [], False
    for line in text.splitlines():
        typed = line.startswith((">", "!"))
        if typed:
            other = line.startswith("> 3.8 ")
        if typed and not other:
            got, printed = next(went)
            out += [line if line.startswith(">") else got, *printed]
        elif typed or other or line.startswith("#") or not line:
            out.append(line)
    SESSION.write_text("\n".join(out) + "\n")
    return 0


def main(args):
    if len(args) == 2 and args[0] == "--record":
        return record(args[1])
    if len(args) == 2 and args[0] == "--transcript":
        went, unheard, code = play(args[1], steps(SESSION.read_text(), "3.9"))
        print(text_of(went) + f"events that nobody awaited: {unheard}\nexit code: {code}")
        return 0
    if len(args) in (1, 2) and not args[0].startswith("-"):
        return check(args[0], args[1] if len(args) == 2 else "3.9")
    sys.exit("usage: tour.py HOST:PORT [3.8|3.9] | --transcript HOST:PORT | --record HOST:PORT")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
