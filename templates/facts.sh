# Answers questions about the machine that it runs on, and changes nothing there: sh -s -- QUESTION ARGUMENT… < facts.sh
# Every answer is `number.word NUL value NUL`, number counting the questions, so that a value can hold anything else;
# all of them together are base64 between two marks, so that nothing which a login shell prints is taken for one.
# What can't be read is left out: whoever asks knows whether that matters.

LC_ALL=C
PATH=$PATH:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin
export LC_ALL PATH

# The size above which a file is not read: none of those that we ask for comes near it.
limit=1048576

say() {
  printf '%s.%s\000%s\000' "$number" "$1" "$2"
}

# A NUL in a value would end it: it becomes a byte that is in no text.
say_output() {
  printf '%s.%s\000' "$number" "$1"
  tr '\000' '\377'
  printf '\000'
}

has() {
  command -v "$1" >/dev/null 2>&1
}

ask_machine() {
  say hostname "$(uname -n)"
  say platform "$(uname -s)"
  say arch "$(uname -m)"
  say bits "$(getconf LONG_BIT 2>/dev/null)"
  say libc "$(libc)"
  say clock "$(date +%s)"
  [ -d /run/systemd/system ] && say booted yes
}

libc() {
  if getconf GNU_LIBC_VERSION >/dev/null 2>&1; then
    echo glibc
    return
  fi
  for loader in /lib/ld-musl-*; do
    [ -e "$loader" ] && echo musl && return
  done
  echo glibc
}

ask_login() {
  uid=$(id -u)
  say name "$(id -un)"
  say uid "$uid"
  if [ "$uid" != 0 ] && has sudo && sudo -n true >/dev/null 2>&1; then
    say sudo yes
  fi
  if [ "$uid" = 0 ] && [ -n "${SUDO_USER:-}" ] && [ "$SUDO_USER" != root ]; then say bySudo yes; fi
  # The address here that ssh was given: the third word (ssh(1)).
  connection=${SSH_CONNECTION:-}
  connection=${connection#* * }
  say address "${connection%% *}"
}

# $1: a user's name; without one, whoever is logged in, or came to be root from there by sudo.
ask_person() {
  name=$1
  [ -n "$name" ] || name=$(id -un)
  if [ -z "$1" ] && [ "$(id -u)" = 0 ] && [ -n "${SUDO_USER:-}" ]; then name=$SUDO_USER; fi
  entry=$(entry_of passwd "$name")
  group=${entry#*:*:*:}
  say passwd "$entry"
  say group "$(entry_of group "${group%%:*}")"
  [ -e "/var/lib/systemd/linger/$name" ] && say linger yes
}

entry_of() {
  if has getent; then
    getent "$1" "$2"
  else
    while IFS= read -r line; do
      case $line in "$2":* | *:*:"$2":*) printf '%s\n' "$line" && return ;; esac
    done <"/etc/$1"
  fi 2>/dev/null | head -n 1
}

ask_file() {
  # Root does not follow where a user that may write the folder points.
  [ -L "$1" ] && [ "$(id -u)" = 0 ] && [ "$(stat -c %u "$1")" != 0 ] && return
  if [ -f "$1" ] && [ -r "$1" ]; then
    say stat "$(stat -L -c '%a %s %U' "$1")"
    head -c $((limit + 1)) "$1" | say_output text
  elif [ -e "$1" ] && [ ! -f "$1" ] && [ ! -c "$1" ]; then
    say other yes
  fi
}

# What a daemon says of itself in a file that stands while it runs; a killed one leaves it behind.
ask_daemon() {
  ask_file "$1"
  [ -f "$1" ] || return
  pid=$(head -c 65536 "$1" 2>/dev/null | sed -n 's/.*"pid": *\([0-9][0-9]*\).*/\1/p' | head -n 1)
  [ -n "$pid" ] && [ -d "/proc/$pid" ] && say alive yes
}

ask_folder() {
  [ -d "$1" ] && say stat "$(stat -L -c '%a 0 %U' "$1")"
}

ask_link() {
  [ -L "$1" ] && readlink "$1" | say_output target
}

# Room for a deployment below $1: what one that was cut off left there goes before the next is laid down.
ask_free() {
  path=$1
  while [ ! -d "$path" ] && [ -n "$path" ]; do path=${path%/*}; done
  free=$(df -Pk "${path:-/}" 2>/dev/null | sed -n '$s/.* \([0-9][0-9]*\)  *[0-9]*%.*/\1/p')
  left=$(du -skc -- "$1"/releases/*.new 2>/dev/null | sed -n '$s/^\([0-9][0-9]*\).*/\1/p')
  [ -n "$free" ] && say kilobytes "$((free + ${left:-0}))"
}

# TCP sockets that listen, as the kernel writes them.
ask_ports() {
  for table in /proc/net/tcp /proc/net/tcp6; do
    [ -r "$table" ] && grep ' 0A ' "$table"
  done | say_output listening
}

# $1: system or user, $2: name, $3: `command` to be told what it runs too.
ask_unit() {
  [ "$1" = user ] && XDG_RUNTIME_DIR=/run/user/$(id -u) && export XDG_RUNTIME_DIR
  state=$(systemctl "--$1" show --property=LoadState,UnitFileState,ActiveState -- "$2" 2>/dev/null)
  if [ -n "$state" ]; then
    say state "$state"
    case $state in *LoadState=not-found*) return ;; esac
    [ "$3" = command ] && systemctl "--$1" show --property=ExecStart -- "$2" 2>/dev/null | say_output command
  else
    unit_file "$1" "$2"
  fi
}

# Where the manager can't be asked, its folders tell what it will find when it starts.
unit_file() {
  case $1 in
    system) set -- "$2" /etc/systemd/system /usr/local/lib/systemd/system /lib/systemd/system /usr/lib/systemd/system ;;
    user) set -- "$2" "$HOME/.config/systemd/user" /etc/systemd/user /usr/lib/systemd/user ;;
  esac
  name=$1 found=
  shift
  for folder; do
    [ -e "$folder/$name" ] && found=yes
    for wants in "$folder"/*.wants/"$name"; do
      [ -L "$wants" ] && say wanted yes && break 2
    done
  done
  [ -n "$found" ] && say file yes
}

# $1: login shell of whoever asks, $2: npm prefix of our own OpenClaw.
ask_programs() {
  # As npm's own settings say it: `prefix = ~/somewhere`.
  prefix=$(sed -n 's/^prefix *= *//p' "$HOME/.npmrc" 2>/dev/null | tail -n 1)
  case $prefix in
    '~/'*) prefix=$HOME/${prefix#'~/'} ;;
    '${HOME}/'*) prefix=$HOME/${prefix#'${HOME}/'} ;;
  esac
  path=$(login_path "$1"):/usr/local/bin:/usr/bin:$HOME/.local/bin:$HOME/.npm-global/bin:${prefix:-/usr}/bin
  set -- "$2/bin"
  IFS=:
  set -f
  for folder in $path; do
    case $folder in /*) set -- "$@" "$folder" ;; esac
  done
  set +f
  unset IFS
  set -- "$@" "$HOME"/.nvm/versions/node/v*/bin
  seen='|'
  for folder; do look_for_openclaw "$folder"; done
  shift
  seen='|'
  for folder; do look_for_node "$folder"; done
}

# PATH as a login gives it: what a person installed for themselves is often there alone. The profile may print, and may
# leave something running that keeps the output open: nothing is waited for once the line is there.
login_path() {
  mark="login path $$ "
  # shellcheck disable=SC2016 # PATH is for that shell to expand
  timeout 5 env -i HOME="$HOME" USER="$(id -un)" LOGNAME="$(id -un)" SHELL="$1" TERM=dumb PATH=/usr/local/bin:/usr/bin:/bin \
    "$1" -lc 'printf "\n'"$mark"'%s\n" "$PATH"' 2>/dev/null | sed -n "/^$mark/{s///p;q;}"
}

is_new() {
  real=$(readlink -f "$1") || return 1
  case $seen in *"|$real|"*) return 1 ;; esac
  seen="$seen$real|"
}

is_program() {
  [ -f "$1" ] && [ -x "$1" ] && is_new "$1"
}

look_for_node() {
  is_program "$1/node" || return
  say node "$1/node"
  case $1 in
    */.nvm/versions/node/v*/bin)
      version=${1%/bin}
      say node_version "${version##*/}"
      ;;
    *) say node_version "$(timeout 5 "$1/node" -v 2>/dev/null | head -n 1)" ;;
  esac
}

# $1: path of a Node. Its version is said, and it is run for that, only where nobody but root could put another program
# into its place: what root alone can write are it, the folders on the way there, and the links with those of theirs.
ask_node() {
  only_roots "$1" && say node_version "$(timeout 5 "$1" -v 2>/dev/null | head -n 1)"
}

only_roots() {
  walked='' rest=$1 links=0
  is_roots / || return
  while [ -n "$rest" ]; do
    entry=$walked/${rest%%/*}
    case $rest in */*) rest=${rest#*/} ;; *) rest='' ;; esac
    case $entry in
      */ | */.) continue ;;
      */..)
        walked=${walked%/*}
        continue
        ;;
    esac
    if [ -L "$entry" ]; then
      [ "$(stat -c %u -- "$entry")" = 0 ] && [ "$links" -lt 40 ] || return
      links=$((links + 1))
      target=$(readlink -- "$entry")
      case $target in /*) walked='' ;; esac
      rest=$target/$rest
    else
      is_roots "$entry" || return
      walked=$entry
    fi
  done
}

is_roots() {
  case $(stat -c '%u %A' -- "$1" 2>/dev/null) in
    '0 '?????w* | '0 '????????w*) return 1 ;;
    '0 '*) ;;
    *) return 1 ;;
  esac
}

# Its package.json tells the version a hundred times faster than the program; a wrapper by somebody has none.
look_for_openclaw() {
  is_program "$1/openclaw" || return
  above=$real
  for _ in 1 2 3; do
    above=${above%/*}
    grep -q '"name": *"openclaw"' "$above/package.json" 2>/dev/null || continue
    say openclaw "$1/openclaw"
    head -c "$limit" "$above/package.json" | say_output openclaw_version
    packaged=yes
    return
  done
  [ -n "$packaged" ] && return
  say openclaw "$1/openclaw"
  say openclaw_version "$(timeout 10 "$1/openclaw" --version 2>/dev/null | head -n 1)"
}

ask_tailscale() {
  program=$(command -v tailscale)
  case $program in
    /*)
      say program "$program"
      say version "$(timeout 5 "$program" version 2>/dev/null | head -n 1)"
      timeout 10 "$program" status --json 2>/dev/null | say_output status
      ;;
    *) for tool in apt-get dnf pacman apk zypper; do
      has "$tool" && offers "$tool" && say packaged_by "$tool" && return
    done ;;
  esac
}

# By what the tool knows already: asking a server would take long, and write to the machine.
offers() {
  case $1 in
    apt-get) timeout 20 apt-cache policy tailscale | grep -q '^ *Candidate: *[0-9]' ;;
    dnf) timeout 20 dnf -q -C list tailscale ;;
    pacman) timeout 20 pacman -Si tailscale ;;
    apk) timeout 20 apk --no-network search -e tailscale | grep -q . ;;
    zypper) timeout 20 zypper -q --no-refresh search -x tailscale ;;
  esac >/dev/null 2>&1
}

answers() {
  number=0
  while [ $# -gt 0 ]; do
    question=$1
    shift
    case $question in
      machine | login | ports | tailscale) "ask_$question" ;;
      person | file | daemon | folder | link | free | node)
        "ask_$question" "$1"
        shift
        ;;
      programs)
        "ask_$question" "$1" "$2"
        shift 2
        ;;
      unit)
        "ask_$question" "$1" "$2" "$3"
        shift 3
        ;;
      *) return ;;
    esac
    number=$((number + 1))
  done
  say end ''
}

# Nothing that is called may read the rest of this text.
echo 'federation facts begin'
answers "$@" </dev/null | base64
echo 'federation facts end'
