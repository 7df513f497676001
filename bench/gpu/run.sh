#!/bin/sh
# Starts the GPU check from the folder that `npm run gpu-check -- pack` made, on a machine without Node: unpacks node once, then
#   sh run.sh [--part ops,repeat] [--out FOLDER] ...
# All that it takes and does is in docs/gpu-check.md.
set -e
# Unpacking counts.
RENVOX_GPU_CHECK_BEGUN=${RENVOX_GPU_CHECK_BEGUN:-$(date +%s 2>/dev/null || :)}
export RENVOX_GPU_CHECK_BEGUN
here=$(cd "$(dirname "$0")" && pwd)
node=$here/node
if [ ! -x "$node" ]; then
  if command -v xz >/dev/null 2>&1; then
    xz -dc "$here/node.xz" >"$node.part"
  elif command -v python3 >/dev/null 2>&1; then
    python3 -c 'import lzma, shutil, sys; shutil.copyfileobj(lzma.open(sys.argv[1]), open(sys.argv[2], "wb"))' "$here/node.xz" "$node.part"
  else
    echo 'run.sh: neither xz nor python3 is here to unpack node.xz' >&2
    exit 2
  fi
  chmod +x "$node.part"
  mv "$node.part" "$node"
fi
# Its last file.
if [ ! -e "$here/scripts/gpu-check.mjs" ]; then "$node" "$here/unpack.mjs"; fi
exec "$node" "$here/scripts/gpu-check.mjs" "$@"
