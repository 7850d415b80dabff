"""What the daemon's libraries bring along without need is not imported, and is there when asked."""

import json
import subprocess
import sys

LOOK = """
import json, sys
from pmxcfs import lean
lean.import_libraries()
from pmxcfs import daemon
names = ("asyncio.events", "_ssl", "rich", "structlog", "trio")
loaded = [name for name in names if name in sys.modules]
"""


def run(program: str) -> object:
    command = [sys.executable, "-c", LOOK + program]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def test_what_is_never_used_is_not_imported() -> None:
    assert run("print(json.dumps(loaded))") == ["structlog", "trio"]


def test_who_asks_for_it_all_the_same_gets_it() -> None:
    program = """
import structlog.stdlib, trio._ssl, structlog.threadlocal
asyncio, ssl, uuid = structlog.stdlib.asyncio, trio._ssl._stdlib_ssl, structlog.threadlocal.uuid
from asyncio.events import AbstractEventLoop
from ssl import SSLContext
answers = [asyncio.run(asyncio.sleep(0, "slept")), ssl.SSLContext is SSLContext]
answers += [uuid.UUID(int=1).int, issubclass(asyncio.AbstractEventLoop, AbstractEventLoop)]
print(json.dumps(answers))
"""
    assert run(program) == ["slept", True, 1, True]


def test_no_program_is_run_to_find_a_library() -> None:
    program = """
import trio
names = []
def look():
    import threading
    names.append(open(f"/proc/self/task/{threading.get_native_id()}/comm").read())
async def main():
    await trio.to_thread.run_sync(look, thread_name="named")
trio.run(main)
print(json.dumps([names, ran]))
"""
    spy = """
import sys
ran = []
sys.addaudithook(lambda event, _: ran.append(event) if event == "subprocess.Popen" else None)
"""
    command = [sys.executable, "-c", spy + LOOK + program]
    told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    assert told == [["named\n"], []]


def test_what_was_freed_is_given_back_where_libc_can_do_that() -> None:
    program = """
import ctypes
from types import SimpleNamespace
calls = []
for library in (SimpleNamespace(malloc_trim=calls.append), SimpleNamespace()):
    lean.ctypes.CDLL = lambda name, library=library: library
    lean.give_back_memory()
print(json.dumps(calls))
"""
    assert run(program) == [0]
