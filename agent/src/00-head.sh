#!/usr/bin/env bash
# Chainkeeper host script: backs up KVM virtual machines to a NAS and says exactly what it did.
# SPDX-License-Identifier: Apache-2.0
#
# Assembled from agent/src/*.sh by agent/build.sh: change the parts, not the assembled file.
# On the host it needs bash, virsh, qemu-img, util-linux and coreutils, nothing else.
#
# Globals are set in one part and used in another, by name (SC2034); "A && B || C" is only used where B cannot fail (SC2015);
# reason codes hold hyphens (SC2100) and words that are also commands (SC2209).
# shellcheck disable=SC2034,SC2015,SC2100,SC2209
set -Eeuo pipefail
shopt -s inherit_errexit extglob

# It runs as root under sudo: nothing is taken from the caller's environment.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C TZ=UTC0
unset IFS CDPATH GLOBIGNORE BASH_ENV ENV
umask 077

readonly SCRIPT_VERSION=1.0.0
readonly MIN_LIBVIRT=7.2.0 MIN_QEMU=4.2.0
# Exit codes CloudStack knows: anything failed; failed and something was left behind.
readonly EXIT_FAILED=1 EXIT_CLEANUP_FAILED=20
