"""A vagrant whose virtual machines are nodes of another lab, and an ssh that reaches them.

What the provider `vagrant` gives and takes is then real but for the machines: the first program,
its settings, daemons, mounts, packet filters. Boxes, hypervisors, provision.sh and sshd are not.
"""

import sys
from pathlib import Path

from pmxcfs_lab.lab import Lab

VAGRANT = """\
#!{python}
import os, subprocess, sys
from pathlib import Path
from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.providers import open_lab

lab = open_lab({lab!r}, lambda line: None)
known = Path(os.environ["VAGRANT_DOTFILE_PATH"]) / "machines"
verb, *words = sys.argv[1:]
if verb == "up":
    for number, name in enumerate(words[1:], start=1):
        print(f"==> {{name}}: Booting VM...", flush=True)
        address = f"{{os.environ['SUBNET']}}.{{10 + number}}"
        lab.exec(name, "ip", "address", "add", f"{{address}}/24", "dev", "eth0")
        lab.exec(name, "rm", "-f", "/etc/corosync/corosync.conf")
        lab.exec(name, "sh", "-c", f"sed -i '/node[1-5]/d' /etc/hosts")
        for other in range(1, len(words)):
            line = f"{{os.environ['SUBNET']}}.{{10 + other}} node{{other}}"
            lab.exec(name, "sh", "-c", f"echo '{{line}}' >>/etc/hosts")
        machine = known / name / "stand-in" / "id"
        machine.parent.mkdir(parents=True, exist_ok=True)
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
