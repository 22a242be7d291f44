#!/usr/bin/env bash
# Builds a peer that `make bench` measures, into .local/peers/. Each is optional: the bench says which are not there.
#   otelcol   the OpenTelemetry collector with kafkareceiver and clickhouseexporter alone, from pinned Go modules
#   rsyslog   rsyslog and its imkafka from Debian's packages; omclickhouse, which Debian does not build, from the same source
#   chproxy   chproxy from its pinned Go module, for `make bench-guard`
set -euo pipefail
cd "$(dirname "$0")/../.."
peer=${1:?"usage: benches/peers/build.sh otelcol|rsyslog|chproxy"}
target=$PWD/.local/peers/$peer
mkdir -p "$target"

need() {
    command -v "$1" >/dev/null || { echo "floodmark: $peer needs '$1'" >&2; exit 1; }
}

build_otelcol() {
    need go
    # One package at a time: the bench's machine has other work.
    (cd benches/peers/otelcol && nice -n 19 go build -p 1 -trimpath -mod=readonly -o "$target/otelcol" .)
}

build_chproxy() {
    need go
    (cd benches/peers/chproxy && nice -n 19 go build -p 1 -trimpath -mod=readonly -o "$target/chproxy" github.com/contentsquare/chproxy)
}

build_rsyslog() {
    need apt-get; need gcc; need pkg-config
    version=8.2302.0
    sha256=25415f85b662615ce3c83077d53758029e8743cb5929044bfd3564e3d626a3b9
    apt=(apt-get -q -o Dir::State::lists="$target/lists" -o Dir::Cache="$target/cache" -o Dir::Etc::sourceparts=-
        -o Dir::Etc::sourcelist="$target/debian.sources" -o APT::Sandbox::User=root)
    mkdir -p "$target"/{lists/partial,cache/archives/partial,root}
    cat >"$target/debian.sources" <<'END'
Types: deb deb-src
URIs: http://deb.debian.org/debian
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
    cd "$target"
    "${apt[@]}" update
    "${apt[@]}" download rsyslog rsyslog-kafka librdkafka1 libestr0 libestr-dev libfastjson4 libfastjson-dev libcurl4 \
        libcurl4-openssl-dev
    for package in *.deb; do dpkg -x "$package" root; done
    "${apt[@]}" source --download-only rsyslog
    echo "$sha256  rsyslog_$version.orig.tar.gz" | sha256sum --check --quiet
    tar xf "rsyslog_$version.orig.tar.gz"
    cd "rsyslog-$version"
    lib=$target/root/usr/lib/x86_64-linux-gnu
    export PKG_CONFIG_PATH=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$target/root CPATH=$target/root/usr/include LIBRARY_PATH=$lib
    nice -n 19 ./configure --quiet --disable-klog --disable-uuid --disable-libgcrypt --disable-libsystemd \
        --disable-generate-man-pages --enable-clickhouse
    nice -n 19 make -C plugins/omclickhouse
    cp plugins/omclickhouse/.libs/omclickhouse.so "$lib/rsyslog/"
}

case $peer in
    otelcol) build_otelcol ;;
    rsyslog) build_rsyslog ;;
    chproxy) build_chproxy ;;
    *) echo "floodmark: there is no peer '$peer'" >&2; exit 64 ;;
esac
