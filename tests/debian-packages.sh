#!/bin/sh
# Installs the Debian packages given by name whose program of the same name is absent. Where that
# is not possible it says so and succeeds: the tests that need the program skip and tell why.
set -u

PATH="$PATH:/usr/sbin:/sbin"  # where servers lie, and where a user who is not root does not look
missing=""
for package in "$@"; do
  command -v "$package" >/dev/null 2>&1 || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

give_up() {
  echo "== not installed:$missing ($1); the tests that need it will skip"
  exit 0
}

command -v apt-get >/dev/null 2>&1 || give_up "no apt-get on this system"
if [ "$(id -u)" -eq 0 ]; then
  run="env"
elif sudo -n true 2>/dev/null; then
  run="sudo -n env"
else
  give_up "neither root nor sudo without a password"
fi

echo "== installing$missing"
# The service of a package must not start: the tests run servers of their own. RUNLEVEL=1 makes
# its script look as if the machine were in single-user mode, where invoke-rc.d starts nothing.
install() {
  # shellcheck disable=SC2086 - several words on purpose
  $run DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -qq -y --no-install-recommends $missing >/dev/null
}
install 2>/dev/null || { $run apt-get update -qq >/dev/null 2>&1; install; } || give_up "apt-get failed"
