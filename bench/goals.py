"""What we want to reach, as ratios of operations per second to the reference measured beside us."""

_BOTH = {
    "stat": 1,
    "open+read+close 4 KiB": 10,
    "the same, 4 processes": 10,
    "listdir of 1000": 1,
    "read .version": 1,
    "read .members": 1,
    "read .vmlist": 1,
}

GOALS: dict[str, dict[str, float]] = {
    "standalone": {
        **_BOTH,
        "listdir + stat of 1000": 5,
        "create + write 1 KiB + close": 1,
        "tmp file + rename 1 KiB": 1,
        "the same, 4 writers": 2,
        "512 000 bytes in 512-byte writes": 20,
        "512 000 bytes in 128 KiB writes": 3,
        "lock: mkdir + rmdir": 1,
        "lock: refresh": 1,
    },
    "three nodes": {
        **_BOTH,
        "listdir + stat of 1000": 10,
        "create + write 1 KiB + close": 1.5,
        "tmp file + rename 1 KiB": 1.5,
        "the same, 4 writers": 4,
        "512 000 bytes in 512-byte writes": 50,
        "512 000 bytes in 128 KiB writes": 5,
        "lock: mkdir + rmdir": 1.2,
        "lock: refresh": 1.2,
    },
}
