#!/usr/bin/python
# -*- coding: utf-8 -*-
"""Looks whether something holds, and keeps looking until it does or the time is over. Changes nothing itself.

What it found is data of the answer (`found`), also where the check did not pass: saying so is left to the
role. One try is bounded, in time and in what is read, whatever is at the other end.
"""

DOCUMENTATION = r"""
module: chiffon_check_info
short_description: Look whether something holds, for a time
description:
  - Looks at a web page, a port, a systemd unit, the digest of a file, or the exit code of a command.
  - Tries again until it holds, or until C(within) seconds have passed.
options:
  kind:
    description: What is looked at.
    type: str
    required: true
    choices: [http, port, unit, file, command]
  within:
    description: Seconds to keep trying; 0 looks once.
    type: int
    default: 0
  url: {description: The page., type: str}
  status: {description: The status that it must answer., type: int, default: 200}
  contains: {description: What its first MiB must contain., type: str}
  host: {description: Whose port., type: str, default: 127.0.0.1}
  port: {description: Which port., type: int}
  name: {description: The unit., type: str}
  path: {description: The file., type: path}
  sha256: {description: Its digest., type: str}
  argv: {description: The command with its arguments; no shell., type: list, elements: str}
attributes:
  check_mode:
    support: full
    description: It looks in check mode as well.
  diff_mode:
    support: none
author: [Chiffon]
"""

EXAMPLES = r"""
- chiffon_check_info: {kind: port, port: 22, within: 30}
"""

RETURN = r"""
passed: {description: Whether it held., type: bool, returned: always}
words: {description: What was found, in a sentence., type: str, returned: always}
found: {description: The same as data, with tries and seconds., type: dict, returned: always}
"""

import errno
import hashlib
import os
import select
import signal
import socket
import stat
import subprocess
import time
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from ansible.module_utils.basic import AnsibleModule

# One try, in seconds: a server that takes the connection and says nothing must not use up all the time.
TRY_SECONDS = 10
# A command gets this long, however short the time to keep trying is.
COMMAND_SECONDS = 60
# Read of a page, and of what a command says, in bytes.
BODY_BYTES = 1 << 20
OUTPUT_BYTES = 2000
# Between two tries, in seconds.
PAUSES = (0.2, 0.5, 1, 2)

clock = time.monotonic


class Hopeless(Exception):
    """Trying again cannot help."""


class Stay(HTTPRedirectHandler):
    """What is asked is what must answer: a redirect is an answer like any other."""

    def redirect_request(self, *_):
        return None


def http(params, left):
    # No proxy: the page of this host is meant, not what somebody in between makes of it.
    opener = build_opener(ProxyHandler({}), Stay())
    asked = Request(params["url"], headers={"User-Agent": "chiffon-check"})
    try:
        answer = opener.open(asked, timeout=max(1, min(TRY_SECONDS, left)))
    except HTTPError as refused:
        answer = refused
    except ValueError as error:
        raise Hopeless("%s is no address: %s" % (params["url"], error))
    except Exception as error:  # pylint: disable=broad-except
        # urllib wraps some of them, http.client has its own, and none is a reason to give up.
        return False, "%s does not answer: %s" % (params["url"], reason(error)), {"status": None}
    end = clock() + TRY_SECONDS
    body = b""
    try:
        while len(body) < BODY_BYTES and clock() < end:
            piece = answer.read(min(65536, BODY_BYTES - len(body)))
            if not piece:
                break
            body += piece
    except Exception as error:  # pylint: disable=broad-except
        return (
            False,
            "%s broke off after %d bytes: %s" % (params["url"], len(body), reason(error)),
            {"status": answer.getcode(), "bytes": len(body)},
        )
    finally:
        answer.close()
    status = answer.getcode()
    found = {"status": status, "bytes": len(body)}
    words = "%s answered %d with %d bytes" % (params["url"], status, len(body))
    if status != params["status"]:
        return False, "%s, not %d" % (words, params["status"]), found
    wanted = params["contains"]
    if wanted is not None:
        found["contains"] = wanted.encode("utf-8") in body
        if not found["contains"]:
            return False, "%s, without the text that it must contain" % words, found
    return True, words, found


def port(params, left):
    where = "port %d of %s" % (params["port"], params["host"])
    try:
        line = socket.create_connection(
            (params["host"], params["port"]), timeout=max(1, min(TRY_SECONDS, left))
        )
        line.close()
    except (OSError, UnicodeError) as error:
        return False, "%s is not open: %s" % (where, reason(error)), {"open": False}
    return True, "%s is open" % where, {"open": True}


def unit(params, left):
    name = params["name"]
    if name.startswith("-"):
        raise Hopeless("%r is no name of a unit" % name)
    if not os.path.isdir("/run/systemd/system"):
        raise Hopeless("this host is not run by systemd, so it has no unit %s" % name)
    code, said = run(["systemctl", "is-active", "--", name], max(1, min(TRY_SECONDS, left)))
    state = said.strip().split("\n")[0] or "unknown"
    return code == 0, "unit %s is %s" % (name, state), {"state": state}


def file(params, left):
    path = params["path"]
    wanted = params["sha256"].lower()
    try:
        # Without waiting: a FIFO would hold the look up for ever.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        return False, "%s cannot be read: %s" % (path, reason(error)), {"exists": error.errno != errno.ENOENT}
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return False, "%s is no plain file" % path, {"exists": True}
        digest = hashlib.sha256()
        size = 0
        while True:
            piece = os.read(handle, 1 << 20)
            if not piece:
                break
            digest.update(piece)
            size += len(piece)
    except OSError as error:
        return False, "%s cannot be read: %s" % (path, reason(error)), {"exists": True}
    finally:
        os.close(handle)
    found = {"exists": True, "sha256": digest.hexdigest(), "bytes": size}
    words = "%s has the digest %s (%d bytes)" % (path, found["sha256"], size)
    if found["sha256"] != wanted:
        return False, "%s, not %s" % (words, wanted), found
    return True, words, found


def command(params, left):
    program = params["argv"][0]
    code, said = run(params["argv"], max(COMMAND_SECONDS, left))
    found = {"exit_code": code, "output": said}
    if code is None:
        return False, "%s did not end in time, and was stopped" % program, found
    words = "%s ended with %d" % (program, code)
    last = said.strip().split("\n")[-1] if code else ""
    return code == 0, words + (": " + last if last else ""), found


def run(argv, seconds):
    """Exit code (None: stopped when its time was over) and the end of what it said."""
    with open(os.devnull, "rb") as nothing:
        try:
            child = subprocess.Popen(
                argv,
                stdin=nothing,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise Hopeless("%s cannot be run: %s" % (argv[0], reason(error)))
    end = clock() + seconds
    said = b""
    output = child.stdout.fileno()
    try:
        while True:
            ready = select.select([output], [], [], max(0, min(0.2, end - clock())))[0]
            piece = os.read(output, 65536) if ready else b""
            said = (said + piece)[-OUTPUT_BYTES:]
            # One that left a daemon behind has ended, although its output has not.
            if (ready and not piece) or child.poll() is not None and not ready:
                break
            if clock() >= end:
                return None, text(said)
        while child.poll() is None:
            if clock() >= end:
                return None, text(said)
            time.sleep(0.02)
        return child.returncode, text(said)
    finally:
        if child.poll() is None:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except OSError:
                child.kill()
            child.wait()
        child.stdout.close()


def text(said):
    return said.decode("utf-8", "replace")


def reason(error):
    """The cause in a few words."""
    inner = getattr(error, "reason", None) or error
    return getattr(inner, "strerror", None) or str(inner) or inner.__class__.__name__


def main():
    module = AnsibleModule(
        argument_spec={
            "kind": {"required": True, "choices": ["http", "port", "unit", "file", "command"]},
            "within": {"type": "int", "default": 0},
            "url": {},
            "status": {"type": "int", "default": 200},
            "contains": {},
            "host": {"default": "127.0.0.1"},
            "port": {"type": "int"},
            "name": {},
            "path": {},
            "sha256": {},
            "argv": {"type": "list", "elements": "str"},
        },
        required_if=[
            ("kind", "http", ["url"]),
            ("kind", "port", ["port"]),
            ("kind", "unit", ["name"]),
            ("kind", "file", ["path", "sha256"]),
            ("kind", "command", ["argv"]),
        ],
        supports_check_mode=True,
    )
    params = module.params
    look = {"http": http, "port": port, "unit": unit, "file": file, "command": command}[params["kind"]]
    began = clock()
    end = began + max(0, params["within"])
    tries = 0
    while True:
        tries += 1
        hopeless = False
        try:
            passed, words, found = look(params, end - clock())
        except Hopeless as why:
            passed, words, found, hopeless = False, str(why), {}, True
        now = clock()
        if passed or hopeless or now >= end:
            break
        time.sleep(min(PAUSES[min(tries, len(PAUSES)) - 1], max(0, end - now)))
    seconds = round(clock() - began, 1)
    found.update(kind=params["kind"], passed=passed, tries=tries, seconds=seconds)
    words = "%s (%s, %.1f s)" % (words, "1 try" if tries == 1 else "%d tries" % tries, seconds)
    module.exit_json(changed=False, passed=passed, words=words, found=found)


if __name__ == "__main__":
    main()
