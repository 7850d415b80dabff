#!/usr/bin/env bash
# A container engine for the lab: docker.sh start | stop | run COMMAND...
#
# start  installs docker.io and docker-compose where they are missing (Debian, root) and starts the engine if none
#        answers: the service where there is systemd, else dockerd by hand.
# stop   ends the dockerd that `start` began by hand in this checkout, if no container runs; no other engine.
# run    start, COMMAND, and stop if this very run began the engine; the exit status is COMMAND's.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
readonly RECORD=$PWD/build/dockerd.process LOG=$PWD/build/dockerd.log
export DEBIAN_FRONTEND=noninteractive

say() { printf 'docker: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }
answers() { docker info --format '{{.ServerVersion}}' >/dev/null 2>&1; }
has_compose() { docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null; }
started_ticks() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# The record's second number tells our process from a later one with the same number.
our_pid() {
    local pid ticks
    read -r pid ticks 2>/dev/null <"$RECORD" && [ -n "$ticks" ] && [ "$(started_ticks "$pid")" = "$ticks" ] && echo "$pid"
}

install() {
    command -v docker >/dev/null && has_compose && { answers || command -v dockerd >/dev/null; } && return
    command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] ||
        fail "there is no docker with compose here, and only root on Debian gets it from us: see docs.docker.com/engine/install"
    say "installing docker.io and docker-compose"
    { apt-get -q update; apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install \
        docker.io docker-compose iptables mmdebstrap; } >build/docker-apt.log 2>&1 ||
        fail "apt-get could not install them: build/docker-apt.log"
}

start() {
    mkdir -p build
    install
    answers && return
    [ "$(id -u)" = 0 ] || fail "no engine answers, and only root can start one."
    if [ -d /run/systemd/system ]; then
        systemctl start docker || fail "systemctl start docker failed: journalctl -u docker"
    else
        setsid env -u PMXCFS_CI_RUN dockerd >"$LOG" 2>&1 </dev/null 9>&- &
        printf '%s %s\n' $! "$(started_ticks $!)" >"$RECORD"
    fi
    local deadline=$((SECONDS + 60))
    until answers; do
        [ $SECONDS -lt $deadline ] || fail "dockerd does not answer after 60 s: $(tail -n 1 "$LOG" 2>/dev/null)"
        sleep 0.2
    done
    say "the engine runs"
}

stop() {
    local pid
    pid=$(our_pid) || return 0
    if answers && [ -n "$(docker ps -q)" ]; then
        say "containers run: the engine stays"
        return 0
    fi
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    rm -f "$RECORD"
    say "the engine that was started here is stopped"
}

run() {
    local began= status
    answers || began=yes
    start
    "$@"
    status=$?
    [ -z "$began" ] || stop
    return "$status"
}

case ${1:-} in
start | stop) "$1" ;;
run) shift && run "$@" ;;
*) sed -n '2,8s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
