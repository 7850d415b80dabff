# What a C daemon's package has too. Where /lib is a link to /usr/lib the unit has two names, and dpkg knows only names.
PATHS="/usr/bin/pmxcfs /usr/share/man/man8/pmxcfs.8.gz
/lib/systemd/system/pve-cluster.service /usr/lib/systemd/system/pve-cluster.service"
