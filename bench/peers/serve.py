"""The side of a peer in Python of bench/contest.ts: what bench/serve.ts does for one in JavaScript."""

import json
import resource
import sys
import time


def resident_mb():
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except OSError:
        # Kilobytes on Linux, bytes on macOS.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


def serve(run, compare=None, **facts):
    """Answers lines until stdin ends: `run N` is timed; `compare(result, path)` says how far a result is from ours in a file."""
    result = None
    for line in sys.stdin:
        verb, _, argument = line.rstrip("\n").partition(" ")
        if verb == "run":
            seconds = cpu = 0
            for _ in range(int(argument)):
                result = None
                begin, before = time.perf_counter(), time.process_time()
                result = run()
                seconds += time.perf_counter() - begin
                cpu += time.process_time() - before
            answer = {"seconds": seconds / int(argument), "cpu": cpu / int(argument)}
        elif verb == "facts":
            answer = {"rss_mb": resident_mb(), **facts}
        elif verb == "compare" and compare:
            worst = float(compare(result, argument))
            answer = {"worst": worst if worst == worst else None}
        else:
            sys.exit(f"This peer cannot {verb}")
        print(json.dumps(answer), flush=True)
