"""A process that computes cases with one framework, told by lines of JSON what to do.

    python -m hstn_ref.bench.worker pytorch

reads commands and answers each with a line: {"prepare": case, "modes": [...]} builds a case in some modes and
computes each once, {"time": mode, "runs": n} computes it n times and gives the seconds, {"values": case, ...}
writes what it computes to a file, {"peak": n} measures the multiply-adds of n threads, {"memory": true} tells the peak
resident memory in bytes. What cannot be done is answered with {"error": sentence}.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from hstn_ref.bench.cases import Case


class Worker:
    def __init__(self, framework: str):
        self.framework = importlib.import_module(f"hstn_ref.bench.{framework}")
        self.framework.start()
        self.computes: dict[str, Callable[[], None]] = {}

    def answer(self, command: dict[str, Any]) -> Any:
        """Do what a command says; returns the answer."""
        match command:
            case {"prepare": fields, "modes": modes}:
                self.computes.clear()  # free the memory of the case before
                case = Case(**fields)
                self.framework.set_threads(case.threads)
                for mode in modes:
                    self.computes[mode] = self.framework.prepare(case, mode)
                    self.computes[mode]()
                return True
            case {"time": mode, "runs": count}:
                return [_seconds(self.computes[mode]) for _ in range(count)]
            case {"values": fields, "by": function, "dtype": dtype, "path": path}:
                case = Case(**fields)
                self.framework.set_threads(case.threads)
                np.savez(path, *getattr(self.framework, function)(case, dtype))
                return True
            case {"peak": threads}:
                from hstn_ref.bench.peak import peak

                return peak(threads)
            case {"memory": True}:
                return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        raise ValueError(f"unknown command {command}")


def _seconds(compute: Callable[[], None]) -> float:
    start = time.perf_counter()
    compute()
    return time.perf_counter() - start


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a framework prints must not mix with the answers
    try:
        worker = Worker(sys.argv[1])
        print(json.dumps({"answer": "ready"}), file=answers, flush=True)
    except ImportError as error:
        print(json.dumps({"error": str(error)}), file=answers, flush=True)
        return
    for line in sys.stdin:
        try:
            reply = {"answer": worker.answer(json.loads(line))}
        except Exception as error:  # whatever a framework raises, the others go on
            reply = {"error": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"}
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    main()
