#!/usr/bin/env bash
# Gets the jars of a real Neo4j through Maven into the cache folder; does nothing when they are there.
# usage: fetch-neo4j.sh [version]     needs mvn and a JDK or JRE; prints the folder
set -euo pipefail

version=${1:-${NEO4J_VERSION:-5.26.12}}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/fetch.sh"
jars=$cache/neo4j-$version

begin "neo4j-$version"
if [ ! -d "$jars" ]; then
  command -v mvn > /dev/null || fail 'mvn is missing (Debian: apt-get install maven openjdk-17-jre-headless)'
  echo "fetch-neo4j: getting Neo4j $version (135 MB, once)" >&2
  # Maven writes target/ beside the pom it reads, so it reads a copy.
  cp "$here/neo4j/pom.xml" "$unfinished/pom.xml"
  mvn -q -B -f "$unfinished/pom.xml" -Dneo4j.version="$version" dependency:copy-dependencies \
    -DoutputDirectory="$unfinished/jars" -DincludeScope=runtime < /dev/null >&2 || fail "Maven could not get org.neo4j:neo4j:$version, see above"
  mv "$unfinished/jars" "$jars"
fi

echo "$jars"
