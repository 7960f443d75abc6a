#!/bin/sh
# Install the programs that the tests start, by apt, where they are missing.
# usage: tests/services/install.sh [redis] [kafka]
set -eu

has() { command -v "$1" >/dev/null 2>&1; }

missing=""
for service in "$@"; do
    case $service in
        redis) has redis-server || missing="$missing redis-server" ;;
        kafka)
            has java || missing="$missing java"
            cache=${MODERATOR_TEST_CACHE:-$(dirname "$0")/../../.cache}
            [ -d "$cache/kafka-4.3.1" ] || has mvn || missing="$missing maven"
            ;;
        *)
            echo "no service $service; there are redis and kafka" >&2
            exit 2
            ;;
    esac
done
[ -n "$missing" ] || exit 0

if ! has apt-get; then
    echo "The tests need$missing (Java 17 or later); please install it, there is no apt-get here" >&2
    exit 1
fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! has sudo; then
        echo "The tests need$missing (Java 17 or later); please install it as root" >&2
        exit 1
    fi
    as_root=sudo
fi

echo "Updating apt's lists, to install what the tests need:$missing"
$as_root apt-get update -qq

# Kafka 4 needs Java 17; the next release of Debian has 21 instead.
java_package() {
    for package in openjdk-17-jre-headless openjdk-21-jre-headless; do
        if apt-cache show "$package" >/dev/null 2>&1; then
            echo "$package"
            return
        fi
    done
    echo default-jre-headless
}

packages=""
for each in $missing; do
    [ "$each" = java ] && each=$(java_package)
    packages="$packages $each"
done
echo "Installing$packages"
# shellcheck disable=SC2086 - one word a package
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
