#!/usr/bin/env bash
# Gets a real RavenDB server from PyPI into the cache folder; does nothing when it is there.
# usage: fetch-ravendb.sh [archive of the .NET runtime]     needs pip and unzip; with an archive also xz
# Prints the settings that the tests read. Without an archive the server runs on the .NET 10 of DOTNET_ROOT
# or of the PATH; with one, the archive is unpacked into the cache folder, where the tests look last.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/fetch.sh"

version=7.2.7
dotnet_version=10.0.12
archive=${1:-}
raven=$cache/ravendb-$version
dotnet=$cache/dotnet-$dotnet_version

begin "ravendb-$version"
if [ ! -d "$raven" ]; then
  echo "fetch-ravendb: getting RavenDB $version (241 MB, 633 MB unpacked, once)" >&2
  get_wheel "$unfinished" "ravendb-embedded==$version"
  echo 'fetch-ravendb: unpacking it' >&2
  unzip -q "$unfinished"/ravendb_embedded-*.whl -d "$unfinished/wheel"
  mv "$unfinished/wheel/ravendb_embedded/target/nuget/contentFiles/any/any/RavenDBServer" "$unfinished/server"
  mv "$unfinished/server" "$raven"
fi

if [ -n "$archive" ] && [ ! -d "$dotnet" ]; then
  [ -f "$archive" ] || fail "no such file: $archive"
  mkdir "$unfinished/dotnet"
  tar -xJf "$archive" --no-same-owner -C "$unfinished/dotnet" || fail "could not unpack $archive (Debian: apt-get install xz-utils)"
  mv "$unfinished/dotnet" "$dotnet"
fi

echo "RAVENDB_SERVER=$raven"
if [ -d "$dotnet" ]; then echo "DOTNET_ROOT=$dotnet"; fi
