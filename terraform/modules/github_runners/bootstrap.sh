# What a machine of the pool does at its start; `runner.py` writes the values above it. Ubuntu, as root, no credential.
# JIT is a configuration for one runner and one job, after which GitHub knows the runner no more.
set -euo pipefail
shutdown -P "+$MINUTES" # whatever happens below, the machine ends then
trap 'shutdown -P now' EXIT
RUNNER=/opt/runner
id -u runner >/dev/null 2>&1 || useradd --create-home --shell /bin/bash runner
mkdir -p "$RUNNER"
curl --fail --silent --show-error --location --retry 5 --output /tmp/runner.tar.gz \
  "https://github.com/actions/runner/releases/download/v$VERSION/actions-runner-linux-$ARCH-$VERSION.tar.gz"
echo "$SHA256  /tmp/runner.tar.gz" | sha256sum --check --strict
tar --extract --gzip --file /tmp/runner.tar.gz --directory "$RUNNER"
chown -R runner: "$RUNNER"
# A job cannot ask the machine for its user data, in which JIT is.
iptables --insert OUTPUT --destination 169.254.169.254 --match owner --uid-owner runner --jump REJECT
cd "$RUNNER"
# What the runner needs is in Ubuntu's image, but for the tables of languages that it can do without: packages of the
# system come over HTTP, which does not leave this network. No `exec`: the trap ends the machine after the job, and after a runner that found none.
timeout "$((MINUTES - 1))m" runuser --user runner -- env DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 ./run.sh --jitconfig "$JIT" || true
