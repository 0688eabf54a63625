# What the scripts share: sourced by them, never run. Everything that is missing is installed
# quietly, one line for each slow step; what a step said is shown only if it fails.
set -euo pipefail
root=$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")
bin=$root/.venv/bin

say() { printf '%s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

step() { # WHAT COMMAND...
  local what=$1 output
  shift
  say "$what ..."
  output=$("$@" 2>&1 </dev/null) || stop "$output"$'\n'"$what failed: the reason stands above."
}

# --- Debian's packages ---------------------------------------------------------------------------

present() { # PACKAGE: is what we need of it there? It may have come from elsewhere than Debian.
  case $1 in
    python3-venv) find_python && { ((EUID)) || [[ $python == "$own" ]] || ! new_enough "$own"; } ;;
    chromium-driver) command -v chromedriver ;;
    php-cli) command -v php ;;
    gcc) command -v cc ;;
    libc6-dev) test -e /usr/include/stdio.h ;;
    util-linux) command -v taskset ;;
    systemd) command -v systemd-analyze ;;
    nginx) command -v nginx || test -x /usr/sbin/nginx ;; # which is on root's PATH only
    *) command -v "$1" ;;
  esac >/dev/null 2>&1
}

apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update && apt-get install --yes --no-install-recommends "$@"
}

need() { # PACKAGE...
  local package missing=()
  for package in "$@"; do present "$package" || missing+=("$package"); done
  ((${#missing[@]})) || return 0
  if ((EUID)) || ! command -v apt-get >/dev/null; then
    stop "Please install ${missing[*]} (on Debian, as root: apt-get install ${missing[*]}) and start this again."
  fi
  step "Installing ${missing[*]}" apt_install "${missing[@]}"
}

# --- The virtual environment ---------------------------------------------------------------------

own=/usr/bin/python3 # the system's comes first: Debian's build is a fifth faster than a plain one

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() { # sets `python` to the first that is new enough and can make environments
  for python in "$own" python3; do
    new_enough "$python" && "$python" -c 'import ensurepip, venv' && return
  done
}

make_venv() { # unless there is one that works
  "$bin/python" -m pip --version >/dev/null 2>&1 && return
  need python3-venv
  find_python 2>/dev/null || stop "Pushline needs Python 3.11 or newer, and python3 is not."
  step "Making a virtual environment in .venv" "$python" -m venv --clear "$root/.venv"
}

state() { # what an installation depends on: when it changes, it is done again
  "$bin/python" -V && echo "$root" && cksum <"$root/pyproject.toml"
}

install() { # NAME WHAT COMMAND...: the step, once for each state
  local stamp=$root/.venv/$1.installed
  shift
  cmp --silent "$stamp" <(state 2>&1) && return
  make_venv
  step "$@"
  state >"$stamp"
}

pip_install() { "$bin/python" -m pip install --disable-pip-version-check --no-input "$@"; }

install_package() { install package "Installing Pushline into .venv" pip_install --editable "$root"; }

install_tools() { # --group needs pip 25.1
  install tools "Installing Pushline and its test tools into .venv" pip_install_tools
}

pip_install_tools() {
  pip_install 'pip>=25.1' && pip_install --editable "$root" --group "$root/pyproject.toml:dev"
}
