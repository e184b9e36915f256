# What board_tuner.py runs on a board, as `sh -c TEXT sh FUNCTION ARGUMENTS`; POSIX shell and /sys are all it needs.

# FOLDER. Prints what could not be put back; the folder is left empty when all is well.
put_back() {
  boot=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)
  tab=$(printf '\t')
  bad=
  # Twice: a lower limit cannot be raised above an upper one that only comes later.
  for turn in 1 2; do
    bad=
    while IFS="$tab" read -r path value; do
      if [ "$path" = boot ]; then
        [ "$value" = "$boot" ] || break
        continue
      fi
      now=
      IFS= read -r now 2>/dev/null < "$path"
      [ "$now" = "$value" ] && continue
      (printf '%s\n' "$value" > "$path") 2>/dev/null
      IFS= read -r now 2>/dev/null < "$path"
      [ "$now" = "$value" ] || { bad=1; [ $turn = 2 ] && printf 'bad\t%s is %s, was %s\n' "$path" "$now" "$value"; }
    done < "$1/saved"
  done
  rm -f "$1/saved" "$1/token" "$1/alive" "$1/saved.new"
  return 0
}

# FOLDER TOKEN SECONDS LOOKS: between two looks, and how many without a sign of life. Ends when the token is another's.
watchdog() {
  quiet=0
  last=
  while [ -f "$1/saved" ]; do
    [ "$(cat "$1/token" 2>/dev/null)" = "$2" ] || exit 0
    now=$(cat "$1/alive" 2>/dev/null)
    if [ "$now" = "$last" ]; then quiet=$((quiet + 1)); else quiet=0; fi
    last=$now
    if [ $quiet -ge $4 ]; then put_back "$1"; exit 0; fi
    sleep $3
  done
}

# FOLDER TOKEN SECONDS LOOKS TEXT, then pairs of file and value; the text is this one, for the watchdog.
begin() {
  umask 077
  D=$1 token=$2 step=$3 looks=$4
  mkdir -p "$D" || exit 3
  printf '%s\n' "$5" > "$D/watchdog" && printf '%s\n' "$token" > "$D/token" && printf '0\n' > "$D/alive" || exit 3
  shift 5
  {
    printf 'boot\t%s\n' "$(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
    path=
    for word in "$@"; do
      if [ -z "$path" ]; then path=$word; continue; fi
      value=
      { IFS= read -r value < "$path" || [ -n "$value" ]; } 2>/dev/null && printf '%s\t%s\n' "$path" "$value"
      path=
    done
  } > "$D/saved.new" && sync && mv "$D/saved.new" "$D/saved" || exit 3
  run=
  command -v setsid >/dev/null 2>&1 && run=setsid
  command -v nohup >/dev/null 2>&1 && run="$run nohup"
  $run sh "$D/watchdog" watchdog "$D" "$token" "$step" "$looks" </dev/null >/dev/null 2>&1 &
  path=
  for word in "$@"; do
    if [ -z "$path" ]; then path=$word; continue; fi
    (printf '%s\n' "$word" > "$path") 2>/dev/null
    now=
    IFS= read -r now 2>/dev/null < "$path"
    printf '%s\t%s\n' "$path" "$now"
    path=
  done
}

# FOLDER TOKEN. Says `mine`, `gone` (put back by the watchdog) or `other`, and puts back what is its own.
end() {
  [ -f "$1/saved" ] || { echo gone; exit 0; }
  [ "$(cat "$1/token" 2>/dev/null)" = "$2" ] || { echo other; exit 0; }
  echo mine
  put_back "$1"
}

# FOLDER SECONDS: to wait for a sign of life. Says `none`, `alive`, or `left` and puts back what was left behind.
recover() {
  [ -f "$1/saved" ] || { echo none; exit 0; }
  before=$(cat "$1/token" "$1/alive" 2>/dev/null)
  sleep $2
  [ -f "$1/saved" ] || { echo none; exit 0; }
  [ "$(cat "$1/token" "$1/alive" 2>/dev/null)" = "$before" ] || { echo alive; exit 0; }
  echo left
  put_back "$1"
}

"$@"
