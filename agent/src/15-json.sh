# ---- JSON: a reader and a writer in bash alone ----------------------------------------------------

readonly WHITE=$' \t\r\n'
readonly JSON_ESCAPES='^([^\\]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*$'
readonly JSON_MEMBER='^ *"([^"\]*)": ("([^"\]*)"|true|false|0|[1-9][0-9]*)(,?)$'
readonly JSON_SCALAR='^(-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?|true|false|null)$'

# json_read ARRAY TEXT: flattens TEXT into the associative array ARRAY, whose keys are paths such as
# "return.0.node-name". Values keep their type as first letter (s string, n number, b boolean, z null);
# "PATH#" holds the length of an array, "PATH@" the keys of an object, each in its own line. Every key of
# ARRAY begins with a slash (bash knows no empty key): read it with json_get. Returns 1 when TEXT is not one JSON value.
json_read() {
  local -n _json=$1
  local -a _kind=() _path=() _count=()
  local _line _at='' _want=value _depth=0 _token
  _json=()
  lines "$2"
  for _line in "${LINES[@]}"; do
    # What most lines of a pretty text are, in one step: a member with a plain value.
    if [[ $_want == @(firstkey|key) && $_line =~ $JSON_MEMBER ]]; then
      _at=${_path[_depth - 1]} && _json["/$_at@"]+=${BASH_REMATCH[1]}$'\n' _at+=${_at:+.}${BASH_REMATCH[1]}
      case ${BASH_REMATCH[2]} in
        \"*) _json["/$_at"]=s${BASH_REMATCH[3]} ;;
        [tf]*) _json["/$_at"]=b${BASH_REMATCH[2]} ;;
        *) _json["/$_at"]=n${BASH_REMATCH[2]} ;;
      esac
      _count[_depth - 1]=$((_count[_depth - 1] + 1))
      if [[ ${BASH_REMATCH[4]} ]]; then _want=key; else _want=next; fi
      continue
    fi
    while _line=${_line#"${_line%%[!"$WHITE"]*}"} && [[ $_line ]]; do
      case $_want:${_line:0:1} in
        @(value|first):[\{\[])
          ((_depth < 40)) || return 1
          _kind[_depth]=${_line:0:1} _path[_depth]=$_at _count[_depth]=0
          if [[ ${_line:0:1} == '{' ]]; then
            _json["/$_at@"]=s _want=firstkey
          else
            _want=first _at+=${_at:+.}0
          fi
          _depth=$((_depth + 1)) _line=${_line:1}
          continue
          ;;
        @(value|first):\")
          json_take_string "$_line" || return 1
          _json["/$_at"]=s$REPLY _line=$JSON_REST
          ;;
        @(value|first):[-0-9tfn])
          _token=${_line%%[!-+.0-9A-Za-z]*} _line=${_line:${#_token}}
          [[ $_token =~ $JSON_SCALAR ]] || return 1
          case $_token in
            true | false) _json["/$_at"]=b$_token ;;
            null) _json["/$_at"]=z ;;
            *) _json["/$_at"]=n$_token ;;
          esac
          ;;
        @(firstkey|key):\")
          json_take_string "$_line" || return 1
          _line=$JSON_REST _want=colon
          _json["/${_path[_depth - 1]}@"]+=$REPLY$'\n'
          _at=${_path[_depth - 1]}${_path[_depth - 1]:+.}$REPLY
          continue
          ;;
        colon::)
          _line=${_line:1} _want=value
          continue
          ;;
        next:,)
          _line=${_line:1} _want=key
          if [[ ${_kind[_depth - 1]} == '[' ]]; then
            _at=${_path[_depth - 1]} _want=value
            _at+=${_at:+.}${_count[_depth - 1]}
          fi
          continue
          ;;
        @(first|next):] | @(firstkey|next):\})
          _depth=$((_depth - 1)) _at=${_path[_depth]}
          [[ ${_kind[_depth]}${_line:0:1} == @(\[\]|\{\}) ]] || return 1
          [[ ${_kind[_depth]} == '{' ]] || _json["/$_at#"]=n${_count[_depth]}
          _line=${_line:1}
          ;;
        *) return 1 ;;
      esac
      # A value ended here: it belongs to what is around it, or it was the whole text.
      _want=end
      ((_depth == 0)) || { _want=next && _count[_depth - 1]=$((_count[_depth - 1] + 1)); }
    done
  done
  [[ $_want == end ]]
}

# json_take_string TEXT: TEXT begins with a string: REPLY is its value, JSON_REST what follows it.
json_take_string() {
  local rest=${1:1} head value=''
  while :; do
    head=${rest%%[\"\\]*} rest=${rest:${#head}}
    value+=$head
    case $rest in
      \"*) break ;;
      \\?*) value+=${rest:0:2} rest=${rest:2} ;;
      *) return 1 ;;
    esac
  done
  JSON_REST=${rest:1} REPLY=$value
  [[ $value == *\\* ]] || return 0
  [[ $value =~ $JSON_ESCAPES ]] || return 1
  json_unescape "$value"
}

# json_get ARRAY PATH: REPLY is the value without its type letter; empty, and false, when null or absent.
json_get() {
  local -n _from=$1
  REPLY=${_from["/$2"]-z}
  [[ $REPLY != z* ]] || { REPLY='' && return 1; }
  REPLY=${REPLY:1}
}

json_unescape() {
  local in=$1 out='' code low bytes
  while [[ $in == *\\* ]]; do
    out+=${in%%\\*} in=${in#*\\}
    case $in in
      b*) out+=$'\b' ;; f*) out+=$'\f' ;; n*) out+=$'\n' ;; r*) out+=$'\r' ;; t*) out+=$'\t' ;;
      u*)
        code=$((16#${in:1:4})) in=${in:4}
        if ((code >= 0xD800 && code <= 0xDBFF)) && [[ ${in:1} == \\u[dD][c-fC-F]* ]]; then
          low=$((16#${in:3:4})) in=${in:6}
          code=$((0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)))
        fi
        if ((code < 0x80)); then
          printf -v bytes '\\x%02x' "$code"
        elif ((code < 0x800)); then
          printf -v bytes '\\x%02x' $((0xC0 | code >> 6)) $((0x80 | code & 63))
        elif ((code < 0x10000)); then
          printf -v bytes '\\x%02x' $((0xE0 | code >> 12)) $((0x80 | code >> 6 & 63)) $((0x80 | code & 63))
        else
          printf -v bytes '\\x%02x' $((0xF0 | code >> 18)) $((0x80 | code >> 12 & 63)) $((0x80 | code >> 6 & 63)) $((0x80 | code & 63))
        fi
        printf -v bytes '%b' "$bytes"
        out+=$bytes
        ;;
      *) out+=${in:0:1} ;;
    esac
    in=${in:1}
  done
  REPLY=$out$in
}

# json_string TEXT: REPLY is TEXT as a JSON string. Bytes that are not UTF-8 pass as they are.
json_string() {
  local s=$1 c hex
  s=${s//\\/\\\\} s=${s//\"/\\\"} s=${s//$'\n'/\\n} s=${s//$'\r'/\\r} s=${s//$'\t'/\\t}
  if [[ $s == *[$'\x01'-$'\x1f'$'\x7f']* ]]; then
    for c in $'\x01' $'\x02' $'\x03' $'\x04' $'\x05' $'\x06' $'\x07' $'\x08' $'\x0b' $'\x0c' $'\x0e' $'\x0f' \
      $'\x10' $'\x11' $'\x12' $'\x13' $'\x14' $'\x15' $'\x16' $'\x17' $'\x18' $'\x19' $'\x1a' $'\x1b' $'\x1c' $'\x1d' $'\x1e' $'\x1f' $'\x7f'; do
      printf -v hex '\\u%04x' "'$c"
      s=${s//"$c"/$hex}
    done
  fi
  REPLY="\"$s\""
}

# json_object TYPE KEY VALUE ...: REPLY is the object. Types: s string, n integer, b boolean, r ready JSON;
# an empty value is null: unknown is never a guess. S is a string that may be empty.
json_object() {
  local out='' value
  while (($#)); do
    case $1 in
      S) json_string "$3" && value=$REPLY ;;
      s) if [[ $3 ]]; then json_string "$3" && value=$REPLY; else value=null; fi ;;
      n) [[ $3 =~ ^-?[0-9]+$ ]] && value=$3 || value=null ;;
      b) [[ $3 == @(true|false) ]] && value=$3 || value=null ;;
      r) value=${3:-null} ;;
    esac
    out+=${out:+,}\"$2\":$value
    shift 3
  done
  REPLY="{$out}"
}

# json_array JSON...: REPLY is the array of these ready values.
json_array() {
  local IFS=,
  REPLY="[$*]"
}

# json_strings TEXT...: REPLY is the array of these strings.
json_strings() {
  local item
  local -a items=()
  for item in "$@"; do json_string "$item" && items+=("$REPLY"); done
  json_array "${items[@]}"
}
