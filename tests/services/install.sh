#!/bin/sh
# Install the programs that the tests start, by apt, where they are missing.
# usage: tests/services/install.sh [redis] [kafka]
set -eu

here=$(dirname "$0")

has() { command -v "$1" >/dev/null 2>&1; }

needed() {
    for service in "$@"; do
        case $service in
            redis) has redis-server || echo redis-server ;;
            kafka)
                # Kafka 4 needs Java 17; the next release of Debian has 21 instead.
                has java || echo "openjdk-17-jre-headless|openjdk-21-jre-headless|default-jre-headless"
                cache=${TEST_CACHE_FOLDER:-$here/../../.cache}
                [ -d "$cache/kafka-4.3.1" ] || has mvn || echo maven
                ;;
            *)
                echo "no service $service; there are redis and kafka" >&2
                exit 2
                ;;
        esac
    done
}

missing=$(needed "$@")
[ -n "$missing" ] || exit 0
# shellcheck disable=SC2086 - one word a package
exec "$here/../../.ci/apt" "The tests need more programs" $missing
