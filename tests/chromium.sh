#!/usr/bin/env bash
# The browser walk needs a Chromium. On Debian as root it is installed; elsewhere a sentence says how.
set -u
for name in chromium chromium-browser google-chrome; do command -v "$name" >/dev/null && exit 0; done
[ -n "${SOCRATES_CHROMIUM:-}" ] && [ -x "$SOCRATES_CHROMIUM" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing Debian's chromium for the browser walk"
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y chromium; } >/dev/null 2>&1 && exit 0
fi
echo "The browser walk needs Chromium: install it (Debian: apt install chromium) or set SOCRATES_CHROMIUM to its path." >&2
exit 2
