# The oracle: what each disk held at a named moment, in raw files written in step with the guest.

#: moment NAME LABEL               keep what the disks of NAME hold now as LABEL
verb_moment() {
  need_args 2 "$@"; need_vm "$1"; check_name "$2"
  local target
  rm -f "$MIRROR/$1".vd?@"$2.raw"
  while IFS=$'\t' read -r target _; do
    cp --sparse=always --reflink=auto "$(mirror "$1" "$target")" "$(moment_file "$1" "$target" "$2")"
  done <"$RUN/$1.disks"
}
moment_file() { printf '%s' "$MIRROR/$1.$2@$3.raw"; }

#: same NAME LABEL TARGET FILE     is that disk at that moment, byte for byte, what FILE (qcow2 with its backing chain, or raw) holds?
#:                                 prints `identical` and exits 0, or the difference and exits 1
verb_same() {
  need_args 4 "$@"; need_vm "$1"; check_name "$2"; check_target "$3"
  local held format=qcow2 size magic='' answer
  held=$(moment_file "$1" "$3" "$2")
  [[ -f $held ]] || die "no moment $2 of $1 $3"
  [[ -f $4 ]] || die "no such file: $4"
  # Without the magic a file is raw: probing would let the guest's own bytes choose the format.
  LC_ALL=C IFS= read -r -d '' -n 4 magic <"$4" || :
  # A qcow2 says its size in the eight bytes from the 24th.
  if [[ $magic == $'QFI\xfb' ]]; then size=$(od -An -tu8 --endian=big -j24 -N8 "$4"); else format=raw size=$(stat -c %s "$4"); fi
  # qemu-img compare takes images of different size as the same when the rest is zero.
  ((size == $(stat -c %s "$held"))) || { printf 'size differs: %s held, %s in the file\n' "$(stat -c %s "$held")" "$((size))"; exit 1; }
  if answer=$(qemu-img compare -f raw -F "$format" "$held" "$4" 2>&1); then
    printf 'identical\n'
  else
    printf '%s\n' "$answer"
    exit 1
  fi
}
