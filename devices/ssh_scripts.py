"""What is said to a device's shells: programs with their arguments, and the few scripts that edgenet runs there.

SSH hands one string to the login shell of the user, whichever that is. So the string has nothing in it on which sh,
bash, zsh, fish and csh differ: between single quotes stand only ASCII characters other than ' \\ ! and line feed, and
each of these is written as \\0ooo, which printf turns back before sh (of POSIX) reads it. A script says `sh`, and the
programs in it are those that coreutils, busybox, toybox and macOS have alike.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from edgenet.errors import InputError

# Linux takes 131072 bytes in one argument, the login shell's -c among them.
LONGEST_COMMAND = 120_000
PLAIN = frozenset(range(0x20, 0x7F)) - frozenset(b"'\\!")
MARK = "EDGENET_RUN"

# An environment variable marks the program and all that it starts, so that they can be found and ended later. What a
# login shell's start files print comes before the mark on either stream, and is told from the program's words by it.
# The program starts when it is told to, by a line: whoever was interrupted before can be sure that it never does, and
# whoever is interrupted after finds it by its mark, which this sh bears already (`export` alone shows in no /proc).
GO = ""
START = f"""{MARK}=$1; export {MARK}; shift; umask 077
exec sh -c 'printf "%s %s\\n" "${MARK}" "$$" && printf "%s\\n" "${MARK}" >&2 && read -r go && exec "$@"' sh "$@"
"""

# $1 the mark, or the beginning of several; $2.. process groups, for systems without /proc.
# TERM first, once: a runner puts the governor back. KILL as often as it takes.
KILL = f"""mark={MARK}=$1; shift
left() {{
  if [ -d /proc/self ]; then
    # busybox's grep stops at a NUL
    for place in /proc/[0-9]*; do
      {{ tr '\\000' '\\n' | grep -qF "$mark"; }} <"$place/environ" && echo "${{place#/proc/}}"
    done 2>/dev/null
  else
    for group; do kill -s 0 -- "-$group" 2>/dev/null && echo "-$group"; done
  fi
}}
for round in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
  found=$(left "$@")
  [ -n "$found" ] || exit 0
  case $round in 1) kill -s TERM -- $found ;; [2-6]) ;; *) kill -s KILL -- $found ;; esac 2>/dev/null
  sleep 0.1 2>/dev/null || sleep 1
done
exit 1
"""

# $1 the interpreter that is asked for, or nothing. Answers key=value, each ended by a NUL.
# What others could have put at the place of the private folder is refused: a link, or a folder of somebody else.
DESCRIBE = r"""LC_ALL=C; export LC_ALL
say() { printf '%s=%s\0' "$1" "$2"; }
refuse() { say refused "$1"; exit 0; }
owner() { ls -ldn "$1/." | { read -r mode links uid rest; echo "$uid"; }; }
mode() { ls -ldn "$1/." | { read -r mode rest; echo "$mode"; }; }
case $HOME in /*) ;; *) refuse "HOME is no absolute path there: $HOME" ;; esac
cache=$HOME/.cache home=$HOME/.cache/edgenet user=$(id -u)
[ ! -h "$home" ] || refuse "$home is a symbolic link"
problem=$(mkdir -p "$home" 2>&1) || refuse "cannot make $home: $problem"
[ "$(owner "$home")" = "$user" ] || refuse "$home belongs to another user"
case $(owner "$cache") in 0|"$user") ;; *) refuse "$cache belongs to another user" ;; esac
case $(mode "$cache") in ????????w[!tT]*) refuse "anybody may write to $cache" ;; esac
problem=$(chmod 700 "$home" 2>&1 && mkdir -p "$home/files" 2>&1) || refuse "cannot write to $home: $problem"
say home "$home"
version() { "$1" -c 'import sys; print(*sys.version_info[:2], sys.executable or "")' </dev/null 2>/dev/null; }
if [ -n "$1" ]; then
  say asked "$(version "$1")"
else
  [ -x "$home/venv/bin/python" ] && say venv "$(version "$home/venv/bin/python")"
  [ -n "$(command -v python3)" ] && say path "$(version python3)"
fi
say system "$(uname -s)"; say machine "$(uname -m)"; say host "$(uname -n)"; say kernel "$(uname -r)"
say bits "$(getconf LONG_BIT 2>/dev/null)"
say libc "$(getconf GNU_LIBC_VERSION 2>/dev/null)"
[ -r /sys/firmware/devicetree/base/model ] && say model "$(tr -d '\000' </sys/firmware/devicetree/base/model)"
[ -r /etc/os-release ] && say os "$(sed -n 's/^PRETTY_NAME=//p' /etc/os-release | tr -d \")"
say disk "$(df -Pk "$home" 2>/dev/null)"
say files "$(ls -ln "$home/files" 2>/dev/null)"
"""

# $1 the folder, $2 the SHA-256 and name, $3 the size in bytes. Answers "have", "full FREE_KIB" or "begin OFFSET", takes
# the content from there, and answers "done", "short", "changed SUM" or "full FREE_KIB".
# dd writes at an offset: the same content at the same place, however many write it. An append by one that was thought
# to be gone would spoil the file. Writing back to a slow card now is better than while something is measured.
PUSH = r"""LC_ALL=C; export LC_ALL; umask 077
name=$2 size=$3 part=$2.part block=1048576
cd "$1" || exit 1
bytes() { [ -f "$1" ] && [ ! -h "$1" ] && wc -c <"$1" | tr -d ' '; }
free() { df -Pk . | sed -n '2s/.* \([0-9][0-9]*\)  *[0-9][0-9]*% .*/\1/p'; }
full() { rm -rf "$part"; echo "full $(free)"; exit 0; }
if command -v sha256sum >/dev/null; then sum=sha256sum
elif command -v shasum >/dev/null; then sum='shasum -a 256'
else echo "neither sha256sum nor shasum is there" >&2; exit 1; fi
if [ "$(bytes "$name")" = "$size" ]; then echo have; exit 0; fi
there=$(bytes "$part")
if [ "${there:-$((size + 1))}" -gt "$size" ]; then rm -rf "$part"; there=0; fi
blocks=$((there / block))
room=$(free)
if [ -n "$room" ] && [ "$room" -lt $(((size - there) / 1024)) ]; then full; fi
echo "begin $((blocks * block))"
problem=$(dd of="$part" bs=$block seek=$blocks conv=notrunc 2>&1 >/dev/null) || case $problem in
  *'No space left'*|*uota\ exceeded*) full ;;
  *) echo "$problem" >&2; exit 1 ;;
esac
[ "$(bytes "$part")" = "$size" ] || { echo short; exit 0; }
is=$($sum <"$part"); is=${is%% *}
[ "$is" = "$name" ] || { rm -f "$part"; echo "changed $is"; exit 0; }
sync "$part" 2>/dev/null || sync
mv -f "$part" "$name" && echo done
"""

# $1 the file.
PULL = """[ -f "$1" ] || { echo 'no such file' >&2; exit 1; }
exec cat <"$1"
"""

# $1 the private folder, $2 the folder of what goes, $3 its name there. A link on the way could lead out.
REMOVE = """cd -P -- "$1" || exit 1
home=$(pwd -P)
[ -d "$2" ] || exit 0
cd -P -- "$2" || exit 1
case $(pwd -P)/ in "$home"/*) ;; *) echo "it leads to $(pwd -P)" >&2; exit 1 ;; esac
rm -rf -- "./$3"
"""


def command(mark: str, arguments: Sequence[str]) -> str:
    """Return the string for SSH that starts a program, marked; raise InputError for what cannot be an argument."""
    if not arguments or arguments[0].startswith("-") or not arguments[0]:
        raise InputError(f"no program can be called {list(arguments[:1])}", allowed="a name or a path")
    if any("\0" in argument for argument in arguments):
        raise InputError(f"an argument of {arguments[0]!r} holds a NUL", allowed="text without NUL")
    words = shlex.join([mark, *arguments])
    text = f"set -- {words}\n{START}".encode("utf-8", "surrogateescape")
    escaped = "".join(chr(byte) if byte in PLAIN else f"\\0{byte:03o}" for byte in text)
    whole = f"""exec sh -c 'eval "$(printf %b "$1")"' sh '{escaped}'"""
    if len(whole) > LONGEST_COMMAND:
        raise InputError(
            f"the arguments of {arguments[0]!r} are too long: {len(whole)} bytes as they are sent",
            allowed=f"up to {LONGEST_COMMAND}",
            mend="send them on standard input",
        )
    return whole


def script(text: str, *arguments: str) -> list[str]:
    """Return the program that a script of sh is, with its arguments."""
    return ["sh", "-c", text, "sh", *arguments]
