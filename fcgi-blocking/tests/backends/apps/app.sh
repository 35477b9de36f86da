#!/bin/sh
# For fcgiwrap: a CGI program.
path=${REQUEST_URI%%\?*}/
path=${path#/}
word=${path%%/*}
argument=${path#*/}
argument=${argument%%/*}
type=text/plain
case $word in
    cookies) printf 'Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n' ;;
    echo) type=$CONTENT_TYPE ;;
    status) printf 'Status: %s\r\n' "$argument" ;;
    stderr) printf '%s\n' "$argument" >&2 ;;
esac
printf 'Content-Type: %s\r\n\r\n' "$type"
case $word in
    env) env ;;
    # fcgiwrap takes no output before it has passed on all of the body.
    echo) cat >"$0.$$"; cat "$0.$$"; rm "$0.$$" ;;
    bytes) head -c "$argument" /dev/zero | tr '\0' x ;;
    exit) printf ok; exit "$argument" ;;
    *) printf ok ;;
esac
