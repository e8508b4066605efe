"""What a run tells the agent: one JSON object a line, into the named pipe that the agent made.

It prints nothing. Texts are cut here only far above what the agent keeps, because cutting comes after
redaction there. Works on ansible-core 2.18 and later.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from ansible import constants as C
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: chiffon
    type: stdout
    short_description: events for the agent
    description: Writes JSON lines into a named pipe.
    options: {}
"""

# In characters. The agent keeps less than half of each.
TEXT = 64 * 1024
DIFF = 64 * 1024
DATA = 512 * 1024

# In seconds, for all hosts together.
TIDYING = 5

# In characters, before and after together, and in lines: what is more is not compared. Comparing takes time that
# grows with the square, and nobody reads it.
COMPARED = 1024 * 1024
LINES = 20_000


class Room:
    """How many characters are still wanted. What lies behind them is not even looked at: a task may return anything."""

    def __init__(self, left):
        self.left = left

    def text(self, value):
        if isinstance(value, (str, bytes)):
            value = value[:max(self.left, 0)]
        value = text(value)
        self.left -= len(value) + 1
        return value


def plain(value, room, depth=0):
    """Nothing but the types of JSON, as far as there is room."""
    if depth > 40:
        return "..."
    if value is None or isinstance(value, bool):
        return value
    room.left -= 1
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, dict):
        found = {}
        for key, item in value.items():
            if room.left <= 0:
                break
            found[room.text(key)] = plain(item, room, depth + 1)
        return found
    if isinstance(value, (list, tuple, set)):
        found = []
        for item in value:
            if room.left <= 0:
                break
            found.append(plain(item, room, depth + 1))
        return found
    return room.text(value)


def text(value):
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    # Half surrogates stand for bytes that are no UTF-8; a pipe of UTF-8 cannot carry them.
    return str(value).encode("utf-8", "replace").decode("utf-8")


def size(value):
    """Bytes of a text, without a copy of all of it at once."""
    step = 1024 * 1024
    return sum(len(value[at:at + step].encode("utf-8", "replace")) for at in range(0, len(value), step))


def is_binary(value):
    """By its beginning, as git and diff have it; bytes that are no UTF-8 are no text either, where they are many."""
    begin = value[:8192]
    if "\0" in begin:
        return True
    strange = sum(1 for c in begin if c == "\ufffd" or "\udc80" <= c <= "\udcff" or (c < " " and c not in "\t\n\r\f\x1b"))
    return strange * 10 > len(begin) * 3


def bytes_of(count):
    return "? bytes" if count is None else f"{count} bytes"


def shown(value):
    """A text for people out of whatever a module calls its message, cut where nobody reads on."""
    if value is None:
        return ""
    room = Room(TEXT)
    if isinstance(value, str):
        return room.text(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value[:20]):
        lines = []
        for item in value:
            if room.left <= 0:
                break
            lines.append(room.text(item))
        return "\n".join(lines)[:TEXT]
    return json.dumps(plain(value, room), ensure_ascii=False, indent=2)[:TEXT]


def end_of(value):
    """The last words of a stream, which may be of any size."""
    return text(value[-TEXT:] if isinstance(value, (str, bytes)) else value)[-TEXT:]


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "chiffon"

    def __init__(self):
        super().__init__()
        self._pipe = None
        self._tasks = 0
        try:
            # Without a reader this fails at once instead of waiting for one.
            self._pipe = os.open(os.environ["CHIFFON_EVENTS"], os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.set_blocking(self._pipe, True)
        except (KeyError, OSError):
            pass

    def _emit(self, event, **fields):
        if self._pipe is None:
            return
        line = json.dumps({"event": event, **fields}, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            while line:
                line = line[os.write(self._pipe, line):]
        except OSError:
            # The agent is gone, and its supervisor ends this process.
            self._pipe = None

    # --- where the run stands ---

    def v2_playbook_on_start(self, playbook):
        if not getattr(DataLoader, "chiffon_fence", False):
            # The plugin that keeps to what was approved did not load: nothing has run yet, and nothing does.
            sys.exit("ERROR! this ansible-core cannot be kept to the approved files; install one that `chiffon doctor` names")
        total = 0
        try:
            total = sum(self._count(play) for play in playbook.get_plays())
        except Exception:  # an estimate only; what is wrong with a play shows when it runs
            pass
        self._emit("start", total=total)

    def _count(self, play):
        tasks = 0 if play.gather_facts is False else 1
        waiting = list(play.compile())
        while waiting:
            entry = waiting.pop()
            if hasattr(entry, "block"):
                waiting.extend(entry.block)
                waiting.extend(entry.always)
            elif entry.action not in C._ACTION_META:
                tasks += 1
        return tasks

    def v2_playbook_on_play_start(self, play):
        self._emit("play", name=text(play.get_name()))

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._tasks += 1
        self._emit("task", number=self._tasks, name=text(task.get_name()))

    def v2_playbook_on_handler_task_start(self, task):
        # Handlers are not part of the estimate.
        self._emit("task", number=self._tasks, name=text(task.get_name()))

    def v2_playbook_on_no_hosts_matched(self):
        self._emit("nobody")

    # --- what came of it ---

    def v2_runner_on_ok(self, result):
        self._host("changed" if result._result.get("changed") else "ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._host("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_unreachable(self, result):
        self._host("unreachable", result)

    def v2_runner_on_skipped(self, result):
        self._host("skipped", result)

    def _host(self, status, result):
        values, task = result._result, result._task
        fields = {"host": text(result._host.get_name()), "status": status, "task": text(task.get_name())}
        if self._is_secret(values, task):
            fields["message"] = "hidden by no_log" if status in ("failed", "unreachable") else ""
        else:
            fields.update(self._words(status, values, task))
        self._emit("host", **fields)

    @staticmethod
    def _is_secret(values, task):
        return bool(values.get("_ansible_no_log")) or "censored" in values or task.no_log is True

    @staticmethod
    def _words(status, values, task):
        fields = {}
        if status in ("failed", "unreachable", "ignored"):
            fields["message"] = shown(values.get("msg"))
            if isinstance(values.get("message"), str):
                # `include_vars` keeps the reason there.
                fields["message"] = "\n".join([fields["message"], values["message"][:TEXT]])[:TEXT]
            for stream in ("stdout", "stderr", "module_stdout", "module_stderr"):
                if values.get(stream):
                    fields[stream] = end_of(values[stream])
            items = values.get("results")
            if isinstance(items, list):
                failed = [item for item in items if isinstance(item, dict) and item.get("failed")]
                words = [shown(item.get("msg")) for item in failed[:100] if not item.get("_ansible_no_log")]
                fields["message"] = "\n".join([fields["message"], *words])[:TEXT]
        elif task.action in C._ACTION_DEBUG:
            wanted = values.get("msg")
            if wanted is None:
                wanted = {key: item for key, item in values.items() if not key.startswith("_") and key != "changed"}
            fields["message"] = shown(wanted)
        warnings = values.get("warnings")
        if isinstance(warnings, list) and warnings:
            fields["warnings"] = [Room(TEXT).text(warning)[:TEXT] for warning in warnings[:20]]
        return fields

    def v2_runner_retry(self, result):
        self._emit("retry", host=text(result._host.get_name()), task=text(result._task.get_name()))

    def v2_on_file_diff(self, result):
        values, task = result._result, result._task
        if task.no_log is True:
            return
        items = values["results"] if isinstance(values.get("results"), list) else [values]
        for item in items:
            if not isinstance(item, dict) or self._is_secret(item, task):
                continue
            if item.get("diff") and item.get("changed"):
                self._difference(result, item)

    def _difference(self, result, values):
        found = values["diff"] if isinstance(values["diff"], list) else [values["diff"]]
        for one in found:
            try:
                written, left_out = self._written(one, values, result._task)
            except Exception as error:  # modules put anything there
                written, left_out = f"a difference that cannot be shown: {error}\n", 0
            if written:
                rest = size(written[DIFF:])
                self._emit(
                    "diff",
                    host=text(result._host.get_name()),
                    task=text(result._task.get_name()),
                    diff=text(written[:DIFF]),
                    left_out=left_out + rest,
                )

    def _written(self, one, values, task):
        """A difference as text, and how many bytes of it are not even compared."""
        if not isinstance(one, dict):
            return text(one), 0
        before, after = (self._side(one, side) for side in ("before", "after"))
        sizes = [None if side is None else size(side) for side in (before, after)]
        if one.get("src_binary") or one.get("dst_binary") or any(side and is_binary(side) for side in (before, after)):
            if sizes[1] is None:
                # After a run the module tells the size of what it wrote; before it, only what it would read is there.
                sizes[1] = self._source_size(task) if task.check_mode else values.get("size")
            return f"Binary files differ: before {bytes_of(sizes[0])}, after {bytes_of(sizes[1])}\n", 0
        if one.get("src_larger") or one.get("dst_larger"):
            limit = max(one.get("src_larger") or 0, one.get("dst_larger") or 0)
            sizes = ["more than that" if one.get(key) else bytes_of(known)
                     for key, known in zip(("dst_larger", "src_larger"), sizes)]
            return f"Not compared, because a file is larger than {limit} bytes: before {sizes[0]}, after {sizes[1]}\n", 0
        pieces, left_out = [], 0
        if before is not None and after is not None:
            if len(before) + len(after) > COMPARED or before.count("\n") + after.count("\n") > LINES:
                left_out = sum(sizes)
                pieces.append(f"Not compared, because it is too large: before {sizes[0]} bytes, after {sizes[1]} bytes\n")
            else:
                headers = {key: one[key] for key in ("before_header", "after_header") if key in one}
                pieces.append(self._get_diff([{"before": before, "after": after, **headers}]))
        prepared = one.get("prepared")
        if prepared:
            prepared = prepared if isinstance(prepared, str) else text(prepared)
            pieces.append(f"Binary difference: {size(prepared)} bytes\n" if is_binary(prepared) else prepared)
        return "".join(pieces), left_out

    def _side(self, one, side):
        """What stood there or will, as text; None where the module does not tell."""
        if side not in one:
            return None
        value = one[side]
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        if isinstance(value, bytes):
            return value.decode("utf-8", "surrogateescape")
        # All of it, because its size is told where it is too large.
        return json.dumps(plain(value, Room(1 << 62)), ensure_ascii=False, indent=4, sort_keys=True) + "\n"

    @staticmethod
    def _source_size(task):
        source = task.args.get("src")
        if not isinstance(source, str) or "{{" in source:
            return None
        for folder in task.get_search_path():
            for path in (os.path.join(folder, "files", source), os.path.join(folder, source)):
                if os.path.isfile(path):
                    return os.path.getsize(path)
        return None

    # --- the end ---

    def v2_playbook_on_stats(self, stats):
        hosts = {text(host): plain(stats.summarize(host), Room(TEXT)) for host in stats.processed}
        custom = {}
        for host, values in stats.custom.items():
            values = plain(values, Room(DATA + 1))
            if len(json.dumps(values)) > DATA:
                values = {"chiffon_answer": "(an answer of this size is not passed on)"}
            custom[text(host)] = values
        for host, values in custom.items():
            self._emit("answer", host=host, values=values)
        self._emit("end", hosts=hosts)
        tidy_hosts()


def tidy_hosts():
    """Removes the run's own temporary folder from its hosts, through the connections that still stand.

    Only where it is empty: what a task left running in the background may still need what lies there.
    """
    folder, run = os.environ.get("CHIFFON_CONTROL"), os.environ.get("CHIFFON_RUN")
    if not folder or not run or not os.path.isdir(folder):
        return
    ssh = ["ssh", "-F", "/dev/null", "-o", "ControlMaster=no", "-o", "BatchMode=yes", "-o", "ProxyCommand=false"]
    removing = []
    for name in os.listdir(folder):
        through = ["-S", os.path.join(folder, name), "chiffon", f'rmdir "$HOME/.ansible/tmp/chiffon-{run}"']
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        try:
            removing.append(subprocess.Popen(ssh + through, **quiet))
        except OSError:  # no ssh, so no connection either
            return
    until = time.monotonic() + TIDYING
    for process in removing:
        try:
            process.wait(max(0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
