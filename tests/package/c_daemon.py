"""Packages that have the place of the C daemon's, and the C daemon itself in one."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.package.machines import Machine

UNIT = """\
[Unit]
Description=a C daemon's unit
DefaultDependencies=no
[Service]
Type=forking
PIDFile=/run/pve-cluster.pid
ExecStart=/usr/bin/pmxcfs
[Install]
WantedBy=multi-user.target
"""
# Stands for the C daemon: runs, and has a tree that it would be wrong to touch.
DAEMON = """\
#!/bin/sh
sleep 1000 &
echo $! >/run/pve-cluster.pid
"""


def pack(machine: Machine, version: str, *, unit_directory: str = "lib") -> str:
    """Build a pve-cluster package on the machine; return its path there."""
    tree = machine.disk / "root" / f"pve-cluster-{version}"
    files = {
        "usr/bin/pmxcfs": DAEMON + f"# {version}\n",
        "usr/share/man/man8/pmxcfs.8.gz": version,
        f"{unit_directory}/systemd/system/pve-cluster.service": UNIT,
        "DEBIAN/control": f"Package: pve-cluster\nVersion: {version}\nArchitecture: all\n"
        "Maintainer: nobody <nobody@localhost>\nDescription: stands for the C daemon's package\n",
        "DEBIAN/postinst": "#!/bin/sh\nsystemctl daemon-reload\ndeb-systemd-helper enable "
        "pve-cluster.service\ndeb-systemd-invoke restart pve-cluster.service || true\n",
    }
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if "bin/" in name or "postinst" in name else 0o644)
    machine.run(f"dpkg-deb --root-owner-group -b /root/{tree.name} /root/{tree.name}.deb")
    return f"/root/{tree.name}.deb"


def pack_the_c_daemon(machine: Machine) -> str:
    """Build a pve-cluster package with the C daemon itself; return its path on the machine."""
    reference = Path(os.environ["PMXCFS_REFERENCE"])
    shutil.copy(reference, machine.disk / "root" / "reference")
    for library in libraries_of(reference):
        target = machine.disk / "root" / "libraries" / library.name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(library, target)
    pack(machine, "1")
    (machine.disk / "root" / "pve-cluster-1" / "usr/bin/pmxcfs").write_text(
        '#!/bin/sh\nexport LD_LIBRARY_PATH=/root/libraries\nexec /root/reference "$@"\n'
    )
    machine.run("dpkg-deb --root-owner-group -b /root/pve-cluster-1 /root/real.deb")
    return "/root/real.deb"


def libraries_of(program: Path) -> list[Path]:
    """Return what it is linked with, except for the C library."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    found = [Path(line.split()[2]) for line in listed.splitlines() if "=> /" in line]
    return [path for path in found if not path.name.startswith(("libc.", "libm.", "libpthread"))]
