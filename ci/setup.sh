#!/usr/bin/env bash
# Make this checkout ready to build, test and run: Debian packages, .venv, the cffi extension.
#
# May be run twice, twice at once, and again after a kill -9 anywhere. Nothing to do takes under a second.
# PYTHON=python3.12 chooses the interpreter. SKIP_APT=1 leaves the system's packages to you.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

readonly ROOT=$PWD
readonly VENV=$ROOT/.venv
readonly STAMP=$VENV/.setup-done
readonly HALF_MADE=$VENV/.setup-running
readonly APT_LIST=$ROOT/ci/apt-packages.txt
readonly SERVICES_TO_DISABLE=$ROOT/build/disable-services
readonly PYTHON=${PYTHON:-python3}
readonly STEPS=4
LOG=/dev/null
child=
is_new=

export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore

say() { printf '%s\n' "$*"; }
step() { say "[$1/$STEPS] $2"; }
is_root() { [ "$(id -u)" = 0 ]; }

# fail SENTENCE [HINT...]: name what is missing, and stop.
fail() {
    printf '\nsetup: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || printf '       %s\n' "$@" >&2
    [ "$LOG" = /dev/null ] || printf '       the whole output: %s\n' "$LOG" >&2
    exit 1
}

last_lines() { grep -v '^[[:space:]]*$' "$LOG" | tail -n "${1:-12}" | cut -c1-200 | sed 's/^/       | /' >&2; }

# run LABEL COMMAND...: the output goes to the log, a sign of life to the screen. The lock (descriptor 9)
# stays with the command, so that a later run waits for it even if this script is killed.
run() {
    local label=$1 began=$SECONDS shown=$SECONDS every=10 status
    shift
    [ -t 1 ] && every=1
    printf '\n### %s\n' "$*" >>"$LOG"
    "$@" >>"$LOG" 2>&1 </dev/null &
    child=$!
    while kill -0 "$child" 2>/dev/null; do
        sleep 0.2
        [ $((SECONDS - shown)) -ge "$every" ] && shown=$SECONDS && progress "$label" $((SECONDS - began))
    done
    wait "$child"
    status=$?
    child=
    [ -t 1 ] && printf '\r\033[K'
    [ "$status" = 0 ] && say "      $label: $((SECONDS - began)) s"
    return "$status"
}

progress() {
    local line
    line="      $1: $2 s, $(tail -n 8 "$LOG" | grep -v -e '^[[:space:]]*$' -e '^WARNING' | tail -n 1 | cut -c1-60)"
    if [ -t 1 ]; then printf '\r\033[K%s' "$line"; else say "$line"; fi
}

stop() {
    [ -z "$child" ] || kill "$child" 2>/dev/null
    fail "interrupted; run it again, it goes on where it must"
}

# --- 1: what the machine must have -------------------------------------------------------------------

fuse_opens() { [ -c /dev/fuse ] && (exec 8<>/dev/fuse) 2>/dev/null; }

check_fuse() {
    fuse_opens && return
    if is_root; then
        modprobe fuse >/dev/null 2>&1
        grep -qw fuse /proc/misc 2>/dev/null && [ ! -e /dev/fuse ] &&
            mknod -m 666 /dev/fuse c 10 "$(awk '$2 == "fuse" { print $1 }' /proc/misc)" 2>/dev/null &&
            say "      made the missing device node /dev/fuse"
    fi
    fuse_opens || fail "/dev/fuse is missing or cannot be opened: no file system can be mounted here." \
        "A container needs: --device /dev/fuse --cap-add SYS_ADMIN; a machine: modprobe fuse"
}

# --- 2: Debian packages ------------------------------------------------------------------------------

wanted_packages() { sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$APT_LIST"; }

missing_packages() {
    local installed
    # shellcheck disable=SC2046  # one argument per package is meant
    installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $(wanted_packages) 2>/dev/null |
        sed -n 's/^installed //p')
    comm -23 <(wanted_packages | sort -u) <(sort -u <<<"$installed")
}

install_packages() {
    local missing=$1
    command -v apt-get >/dev/null ||
        fail "this is no Debian: install what corresponds to these, then SKIP_APT=1 make setup:" "${missing//$'\n'/ }"
    is_root || fail "these Debian packages are missing and only root can install them:" \
        "apt-get install --no-install-recommends ${missing//$'\n'/ }"
    say "      missing: ${missing//$'\n'/ }"
    # A service manager would start what comes with us on the host. Nobody asked for that.
    grep -x -e corosync -e corosync-qdevice -e corosync-qnetd -e rrdcached <<<"$missing" >>"$SERVICES_TO_DISABLE"
    if [ -n "$(dpkg --audit 2>/dev/null)" ]; then
        run "finishing an interrupted dpkg" dpkg --configure -a || say "      dpkg --configure -a failed; trying on"
    fi
    run "apt-get update" apt-get -q update || say "      apt-get update failed; trying with the lists that are here"
    # shellcheck disable=SC2086  # one argument per package is meant
    if ! run "apt-get install" env RUNLEVEL=1 apt-get -y -q -o DPkg::Lock::Timeout=300 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        --no-install-recommends --no-remove install $missing; then
        last_lines
        fail "apt-get could not install: $(missing_packages | tr '\n' ' ')"
    fi
    missing=$(missing_packages | tr '\n' ' ')
    [ -z "$missing" ] || fail "still not installed after apt-get: $missing"
}

keep_services_off_the_host() {
    local service
    [ -s "$SERVICES_TO_DISABLE" ] || return 0
    if [ -d /run/systemd/system ]; then
        sort -u "$SERVICES_TO_DISABLE" | while read -r service; do
            systemctl disable --now "$service" >>"$LOG" 2>&1
            say "      $service came with this setup: its service on this host is disabled (the lab and the tests start their own)"
        done
    fi
    rm -f "$SERVICES_TO_DISABLE"
}

ensure_packages() {
    local missing
    if [ -n "${SKIP_APT:-}" ]; then
        say "      skipped (SKIP_APT)"
        return
    fi
    missing=$(missing_packages)
    if [ -n "$missing" ]; then install_packages "$missing"; else say "      all $(wanted_packages | wc -l) are installed"; fi
    keep_services_off_the_host
}

# --- 3 and 4: .venv and what goes into it ------------------------------------------------------------

python_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

check_python() {
    command -v "$PYTHON" >/dev/null || fail "there is no $PYTHON." "Choose one: PYTHON=python3.12 make setup"
    case $(python_version "$PYTHON") in
    3.11 | 3.12 | 3.13) ;;
    *) fail "$PYTHON is Python $(python_version "$PYTHON"); 3.11, 3.12 or 3.13 is needed." \
        "Choose one: PYTHON=python3.12 make setup" ;;
    esac
}

# A venv is sound when nothing was killed while filling it, it is of our Python, and was made in this place.
venv_is_sound() {
    [ ! -e "$HALF_MADE" ] &&
        [ "$(python_version "$VENV/bin/python")" = "$(python_version "$PYTHON")" ] &&
        head -n 3 "$VENV/bin/pip" 2>/dev/null | grep -qF "$VENV/bin/" &&
        "$VENV/bin/python" -m pip --version >/dev/null 2>&1
}

ensure_venv() {
    if venv_is_sound; then
        say "      .venv stands (Python $(python_version "$PYTHON"))"
        return
    fi
    [ ! -e "$VENV" ] || say "      .venv is half-made or not ours: making it anew"
    rm -rf "$VENV"
    is_new=1
    if ! run "python -m venv" "$PYTHON" -m venv "$VENV"; then
        last_lines
        fail "$PYTHON cannot make a venv."
    fi
}

# pip_install LABEL ARGUMENT...
pip_install() {
    local label=$1
    shift
    run "pip install: $label" "$VENV/bin/python" -m pip install --progress-bar off "$@" && return
    rm -f "$HALF_MADE"  # pip undoes what it could not finish; only a kill leaves half of something
    last_lines 20
    fail "pip could not install: $label."
}

install_python_packages() {
    touch "$HALF_MADE"
    # rrdtool asks for a function that Python 3.13 has no more; it said yes on all that we run on.
    [ "$(python_version "$VENV/bin/python")" != 3.13 ] || export CFLAGS="${CFLAGS:-} -DPyEval_ThreadsInitialized()=1"
    # Nothing but what is pinned, with its hash: not even to build what comes as sources.
    pip_install "what builds packages" --require-hashes -r ci/locked/build.txt
    pip_install "Python packages" --no-build-isolation --require-hashes -r ci/locked/development.txt
    pip_install "pmxcfs and its extension" --no-build-isolation --no-deps -e .
    "$VENV/bin/python" -c 'import apsw, pyfuse3, rrdtool, trio, pmxcfs._corosync, pmxcfs._libfuse' >>"$LOG" 2>&1 || {
        last_lines
        fail "the Python packages are there, but do not import."
    }
    rm -f "$HALF_MADE"
}

# Once, for who comes with a new checkout: it takes a minute, and whoever works on the sources changes them.
compile_for_speed() {
    "$VENV/bin/python" -m compileall -q pmxcfs >>"$LOG" 2>&1  # where Python may not keep it by itself, each start would
    if [ -z "$is_new" ] || [ -n "${PMXCFS_INTERPRETED:-}" ]; then return; fi
    run "compiling what every change runs through" "$VENV/bin/python" -m pmxcfs.compile_build ||
        say "      it cannot be compiled here: the daemon runs the sources, and a change costs it more CPU; see $LOG"
}

# --- the stamp ---------------------------------------------------------------------------------------

# What the result depends on; pyproject.toml and the rest change rarely, so a matching stamp means "done".
fingerprint() {
    {
        say "$ROOT"
        "$PYTHON" -c 'import sys; print(sys.version, sys.base_prefix)'
        cat pyproject.toml setup.py pmxcfs/ffi_build.py pmxcfs/fuse_build.py ci/apt-packages.txt ci/locked/*.txt ci/setup.sh
    } 2>/dev/null | sha256sum | cut -d' ' -f1
}

extension_is_built() { compgen -G "$ROOT/pmxcfs/_corosync*.so" >/dev/null && compgen -G "$ROOT/pmxcfs/_libfuse*.so" >/dev/null; }

is_done() {
    [ -x "$VENV/bin/python" ] && [ ! -e "$HALF_MADE" ] && extension_is_built &&
        [ "$(cat "$STAMP" 2>/dev/null)" = "$(fingerprint)" ] &&
        { [ -n "${SKIP_APT:-}" ] || [ -z "$(missing_packages)" ]; }
}

take_lock() {
    exec 9>>"$ROOT/build/setup.lock" || fail "cannot write $ROOT/build"
    flock -n 9 && return
    say "setup: another one is at work in this checkout; waiting for it (at most 15 minutes)"
    flock -w 900 9 || fail "the other setup did not end within 15 minutes." "Who holds it: fuser -v $ROOT/build/setup.lock"
}

main() {
    if is_done && fuse_opens; then return 0; fi
    mkdir -p "$ROOT/build/log" || fail "cannot write $ROOT/build"
    take_lock
    if is_done && fuse_opens; then return 0; fi
    trap stop INT TERM
    LOG=$ROOT/build/log/setup-$(date +%Y%m%d-%H%M%S)-$$.log
    say "setup: a first run takes a minute or two; details go to $LOG"
    step 1 "The machine: /dev/fuse"
    check_fuse
    step 2 "Debian packages (ci/apt-packages.txt)"
    ensure_packages
    step 3 "Python and .venv"
    check_python
    ensure_venv
    step 4 "Python packages (ci/locked) and the corosync extension"
    install_python_packages
    compile_for_speed
    fingerprint >"$STAMP.new" && mv "$STAMP.new" "$STAMP"
    say "setup: done in $SECONDS s"
}

main
