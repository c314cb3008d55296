"""Reads and judges the results of kazoo's test-suite, for interop/kazoo.

  modules SHARD OF                    the test modules of one shard
  deselect EXPECTED                   a pytest -k expression that leaves out all but the tests that pass
  compare [--part] EXPECTED JUNIT...  exit 1 unless every test that passes on the reference passed
  record JUNIT...                     a list of expectations from the results of the reference

A list of expectations has one line per test: `passes|waits|fails|skips TEST [# reason]`.
"""
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

# Seconds that a module took on the reference. A new module costs nothing and goes to the lightest shard.
COST = {
    "test_client": 36, "test_eventlet_handler": 28, "test_watchers": 24, "test_partitioner": 23,
    "test_gevent_handler": 15, "test_lock": 15, "test_selectors_select": 11, "test_connection": 10,
    "test_cache": 6, "test_lease": 6, "test_barrier": 5, "test_queue": 5, "test_party": 5,
}


def modules(shard, of):
    import kazoo.tests

    folder = pathlib.Path(kazoo.tests.__file__).parent
    names = sorted((path.stem for path in folder.glob("test_*.py")), key=lambda name: (-COST.get(name, 0), name))
    loads = [0] * of
    mine = []
    for name in names:
        lightest = loads.index(min(loads))
        loads[lightest] += COST.get(name, 0)
        if lightest == shard:
            mine.append("kazoo.tests." + name)
    return mine


def expectations(path):
    """Of every test its word and its reason."""
    rows = {}
    for line in pathlib.Path(path).read_text().splitlines():
        text, _, reason = line.partition("#")
        if text.strip():
            word, test = text.split()
            rows[test] = (word, reason.strip())
    return rows


def deselect(path):
    terms = []
    for test, (word, _) in expectations(path).items():
        if word != "passes":
            _, suite, name = test.replace("::", ".").split(".")
            terms.append(f"not ({suite} and {name})")
    return " and ".join(terms)


def results(paths):
    """Of every test that ran: passed, failed or skipped."""
    seen = {}
    for path in paths:
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            test = case.get("classname").partition("kazoo.tests.")[2] + "::" + case.get("name")
            if case.find("failure") is not None or case.find("error") is not None:
                seen[test] = "failed"
            elif case.find("skipped") is not None:
                seen.setdefault(test, "skipped")
            else:
                seen.setdefault(test, "passed")
    return seen


def compare(part, expected, junit):
    want = [test for test, (word, _) in expectations(expected).items() if word == "passes"]
    seen = results(junit)
    missing = [] if part else [test for test in want if test not in seen]
    worse = [test for test in want if seen.get(test, "passed") != "passed"]
    unknown = sorted(set(seen) - set(expectations(expected)))
    for test in worse:
        print(f"{seen[test]}: {test} (passes on the reference)")
    for test in missing:
        print(f"did not run: {test}")
    for test in unknown:
        print(f"not in the list: {test}")
    passed = sum(seen.get(test) == "passed" for test in want)
    print(f"{passed} passed, {len(worse) + len(missing) + len(unknown)} failed")
    return 1 if worse or missing or unknown or passed == 0 else 0


def record(junit):
    words = {"passed": "passes", "failed": "fails", "skipped": "skips"}
    for test, result in sorted(results(junit).items()):
        print(f"{words[result]:6} {test}")
    return 0


def main(command, *args):
    if command == "modules":
        print("\n".join(modules(int(args[0]), int(args[1]))))
    elif command == "deselect":
        print(deselect(*args))
    elif command == "compare":
        part = args[0] == "--part"
        return compare(part, args[part], args[part + 1:])
    elif command == "record":
        return record(args)
    else:
        sys.exit(f"kazoo_results.py: unknown command {command}\n{__doc__}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
