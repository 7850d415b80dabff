"""A vagrant whose virtual machines are nodes of another lab, and an ssh that reaches them.

What the provider `vagrant` gives and takes is then real but for the machines: the first program,
its settings, daemons, mounts, packet filters. Boxes, hypervisors, provision.sh and sshd are not.
"""

import sys
from pathlib import Path

from pmxcfs_lab.lab import Lab

VAGRANT = """\
#!{python}
import os, sys
from pathlib import Path
from pmxcfs_lab.providers import open_lab

lab = open_lab({lab!r}, lambda line: None)
known = Path(os.environ["VAGRANT_DOTFILE_PATH"]) / "machines"
NEW = '''
ip address add "$1" dev eth0
rm -rf /etc/corosync/corosync.conf /var/lib/pve-cluster/* /var/lib/corosync/*
sed '/node[1-5]/d' /etc/hosts >/run/hosts
shift
printf '%s\\n' "$@" >>/run/hosts
cat /run/hosts >/etc/hosts
'''
verb, *words = sys.argv[1:]
if verb == "up":
    for number, name in enumerate(words[1:], start=1):
        machine = known / name / "stand-in" / "id"
        if machine.exists():
            continue
        print(f"==> {{name}}: Booting VM...", flush=True)
        subnet = os.environ["SUBNET"]
        hosts = [f"{{subnet}}.{{10 + other}} node{{other}}" for other in range(1, len(words))]
        done = lab.exec(name, "sh", "-ec", NEW, "sh", f"{{subnet}}.{{10 + number}}/24", *hosts)
        if done.exit_status != 0:
            sys.exit(done.stderr.decode())
        machine.parent.mkdir(parents=True)
        machine.write_text(name)
elif verb == "status":
    for machine in sorted(known.iterdir()):
        print(f"1,{{machine.name}},state,running")
elif verb == "ssh-config":
    print(f"Host {{words[0]}}")
elif verb == "destroy":
    for machine in sorted(known.iterdir()):
        lab.exec(machine.name, "sh", "-c", "kill $(cat /run/node.pid)")
else:
    sys.exit(f"vagrant: no {{verb}} here")
"""

SSH = """\
#!{python}
import os, sys
from pmxcfs_lab.providers import open_lab

if sys.argv[-3:-1] == ["-O", "exit"]:
    raise SystemExit
argv = open_lab({lab!r}, lambda line: None).attach_argv(
    sys.argv[-2], ["sh", "-c", "PATH={bin}:$PATH; " + sys.argv[-1]]
)
os.execvp(argv[0], argv)
"""

SUDO = """\
#!/bin/sh
shift
exec "$@"
"""

SYSTEMCTL = """\
#!/bin/sh
# Start the unit that provision.sh would have made.
[ "$*" = "start pmxcfs-lab-node" ] || exit 1
kill -0 "$(cat /run/node.pid 2>/dev/null)" 2>/dev/null && exit
set -a; . /etc/default/pmxcfs-lab-node
PATH={path} PYTHONPATH={packages} setsid {python} -m pmxcfs_lab.docker.node \
    </dev/null >/var/log/node.log 2>&1 &
echo $! >/run/node.pid
"""


def install(folder: Path, machines: Lab, packages: Path) -> str:
    """Write the programs into a folder; return the PATH with which they are found."""
    path = f"{folder}:{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin"
    programs = {"vagrant": VAGRANT, "ssh": SSH, "sudo": SUDO, "systemctl": SYSTEMCTL}
    for name, text in programs.items():
        program = folder / name
        if "{python}" in text:
            text = text.format(
                python=sys.executable, lab=machines.name, bin=folder, path=path, packages=packages
            )
        program.write_text(text)
        program.chmod(0o755)
    return path
