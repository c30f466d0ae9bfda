#!/usr/bin/env bash
# Files for spreadsheets are opened by a real one. On Debian as root it is installed; elsewhere a sentence says how.
set -u
for name in soffice libreoffice; do command -v "$name" >/dev/null && exit 0; done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing Debian's LibreOffice Calc to open exported tables"
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends libreoffice-calc-nogui; } \
    >/dev/null 2>&1 && exit 0
fi
echo "Exported tables are opened by LibreOffice Calc: install it (Debian: apt install libreoffice-calc)." >&2
exit 2
