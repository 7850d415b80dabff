"""The lab: corosync clusters on one machine, on which every fault is real."""
