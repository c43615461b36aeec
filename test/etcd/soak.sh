#!/bin/sh
# Kills and stops the leader of an etcd of three members under load for some minutes, and then compares what was
# acknowledged with etcd's own history: soak.sh MINUTES
set -eu
cd "$(dirname "$0")/../.."
minutes=${1:?usage: soak.sh MINUTES}
npm run --silent build
ETCD_SOAK_MINUTES=$minutes exec npx vitest run test/etcd/cluster.test.ts
