"""IPython start-up file of a measured kernel: notes its CPU time before and after every cell.

The benchmark copies it into the start-up folder of a run's own IPython directory. It adds two
events and no name: a notebook finds what it always finds.
"""


def _note_cpu_time(folder: str) -> None:
    import json
    import os
    import time

    from IPython import get_ipython

    path = os.path.join(folder, f"{os.getpid()}.jsonl")  # noqa: PTH118 - nothing more to import
    before = [time.process_time()]

    def note(event: str, cpu: list[float]) -> None:
        with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(json.dumps({"event": event, "time": time.time(), "cpu": cpu}) + "\n")

    def cell_starts(info: object) -> None:
        before[0] = time.process_time()

    def cell_ends(result: object) -> None:
        note("cell", [before[0], time.process_time()])

    note("start", before)
    events = get_ipython().events
    events.register("pre_run_cell", cell_starts)
    events.register("post_run_cell", cell_ends)


_note_cpu_time(__file__.rpartition("/")[0])
del _note_cpu_time
