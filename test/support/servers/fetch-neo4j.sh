#!/usr/bin/env bash
# Gets the jars of a real Neo4j through Maven into the cache folder; does nothing when they are there.
# usage: fetch-neo4j.sh [version]     needs mvn and a JDK or JRE; prints the folder
set -euo pipefail

version=${1:-${NEO4J_VERSION:-5.26.12}}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/fastify-request-session
jars=$cache/neo4j-$version

mkdir -p "$cache"
# Two test files may want the jars at once: the second waits for the first.
if command -v flock > /dev/null; then
  exec 9> "$jars.lock"
  flock 9
fi

if [ ! -d "$jars" ]; then
  command -v mvn > /dev/null || {
    echo 'fetch-neo4j: mvn is missing (Debian: apt-get install maven openjdk-17-jre-headless)' >&2
    exit 1
  }
  unfinished=$(mktemp -d "$cache/neo4j.XXXXXX")
  trap 'rm -rf "$unfinished"' EXIT
  echo "fetch-neo4j: getting Neo4j $version (135 MB, once)" >&2
  # Maven writes target/ beside the pom it reads, so it reads a copy.
  cp "$here/neo4j/pom.xml" "$unfinished/pom.xml"
  mvn -q -B -f "$unfinished/pom.xml" -Dneo4j.version="$version" dependency:copy-dependencies \
    -DoutputDirectory="$unfinished/jars" -DincludeScope=runtime < /dev/null >&2 || {
    echo "fetch-neo4j: Maven could not get org.neo4j:neo4j:$version, see above" >&2
    exit 1
  }
  mv "$unfinished/jars" "$jars"
fi

echo "$jars"
