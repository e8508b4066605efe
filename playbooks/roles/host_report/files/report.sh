# Reads the state of this machine and prints it as one line of JSON: {"answer": text, "data": mapping}.
# Pure reads, no network, POSIX sh with awk, so that it also works where there is no Python or systemd.
# The task puts a line `section=...` in front; all means every section.
LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH

wanted() { [ "$section" = all ] || [ "$section" = "$1" ]; }

# Bounds a reader that can hang (a dead network mount, a busy systemd).
bounded() { if command -v timeout >/dev/null 2>&1; then timeout 10 "$@"; else "$@"; fi; }

# Every section prints lines "T<tab>text for people" and one line "J<tab>a member of the data mapping".
helpers='
function quoted(s,  i, c, out) {
  out = ""
  for (i = 1; i <= length(s); i++) {
    c = substr(s, i, 1)
    if (c == "\\" || c == "\"") out = out "\\" c
    else if (c == "\t") out = out " "
    else out = out c
  }
  return "\"" out "\""
}
function size(kib) {
  if (kib >= 1073741824) return sprintf("%.1f TiB", kib / 1073741824)
  if (kib >= 1048576) return sprintf("%.1f GiB", kib / 1048576)
  return sprintf("%.0f MiB", kib / 1024)
}
function text(s) { print "T\t" s }
function data(s) { print "J\t" s }
'

disks() {
  { bounded df -PkT || bounded df -PkTl; } 2>/dev/null | awk "$helpers"'
    # The device may hold blanks, so the columns are found by their numbers, not counted.
    match($0, / +[0-9]+ +[0-9]+ +-?[0-9]+ +[0-9]+% +\//) {
      mount = substr($0, RSTART + RLENGTH - 1)
      head = substr($0, 1, RSTART - 1)
      split(substr($0, RSTART, RLENGTH), number, " ")
      kind = head; sub(/.* /, "", kind)
      device = head; sub(/ +[^ ]+$/, "", device)
      if (kind ~ /^(tmpfs|devtmpfs|ramfs|squashfs|efivarfs|iso9660|proc|sysfs|cgroup2?|fuse\.portal)$/) next
      if (kind == "overlay" && mount != "/") next
      if (number[1] == 0 || (device in seen)) next
      seen[device] = 1
      n++
      percent = number[4] + 0
      if (n == 1 || percent > worst) { worst = percent; fullest = mount }
      line[n] = sprintf("  %s: %d %% full, %s of %s used, %s free%s", mount, percent, size(number[2]), \
        size(number[1]), size(number[3]), percent >= 90 ? "  <- nearly full" : "")
      item[n] = sprintf("{\"mount\":%s,\"device\":%s,\"type\":%s,\"size_kib\":%s,\"used_kib\":%s,\"available_kib\":%s,\"used_percent\":%d}", \
        quoted(mount), quoted(device), quoted(kind), number[1], number[2], number[3], percent)
    }
    END {
      if (n == 0) text("Disks: not available (no file system could be read)")
      else text("Disks: " n (n == 1 ? " file system, " : " file systems, fullest is ") fullest " at " worst " %")
      list = ""
      for (i = 1; i <= n; i++) { text(line[i]); list = list (i > 1 ? "," : "") item[i] }
      data("\"disks\":[" list "]")
    }'
}

memory() {
  awk "$helpers"'
    { sub(/:$/, "", $1); kib[$1] = $2 }
    END {
      total = kib["MemTotal"]; available = kib["MemAvailable"]
      if (total == 0) { text("Memory: not available"); data("\"memory\":null"); exit }
      used = total - available
      swap = kib["SwapTotal"]; swapped = swap - kib["SwapFree"]
      text(sprintf("Memory: %.0f %% in use, %s of %s, %s available; %s", 100 * used / total, size(used), size(total), \
        size(available), swap > 0 ? "swap: " size(swapped) " of " size(swap) " used" : "no swap"))
      data(sprintf("\"memory\":{\"total_kib\":%.0f,\"used_kib\":%.0f,\"available_kib\":%.0f,\"swap_total_kib\":%.0f,\"swap_used_kib\":%.0f}", \
        total, used, available, swap, swapped))
    }' /proc/meminfo 2>/dev/null
}

load() {
  cores=$(nproc 2>/dev/null || grep -c '^processor' /proc/cpuinfo)
  cat /proc/loadavg /proc/uptime 2>/dev/null | awk -v cores="$cores" "$helpers"'
    NR == 1 { one = $1; five = $2; fifteen = $3 }
    NR == 2 { up = int($1) }
    END {
      if (NR < 2) { text("Load: not available"); data("\"load\":null"); exit }
      days = int(up / 86400); hours = int(up % 86400 / 3600); minutes = int(up % 3600 / 60)
      since = (days ? days (days == 1 ? " day " : " days ") : "") (days || hours ? hours " h " : "") minutes " min"
      text("Load: " one ", " five ", " fifteen " over 1, 5 and 15 minutes on " cores (cores == 1 ? " core" : " cores") "; up " since)
      data(sprintf("\"load\":{\"one\":%s,\"five\":%s,\"fifteen\":%s,\"cores\":%d,\"uptime_seconds\":%d}", one, five, fifteen, cores, up))
    }'
}

services() {
  if ! [ -d /run/systemd/system ] || ! command -v systemctl >/dev/null 2>&1; then
    printf 'T\tFailed services: not available (no systemd)\nJ\t"services":{"available":false,"reason":"no systemd","failed":[]}\n'
    return
  fi
  if ! units=$(bounded systemctl list-units --state=failed --all --plain --no-legend --no-pager 2>/dev/null); then
    printf 'T\tFailed services: not available (systemd does not answer)\nJ\t"services":{"available":false,"reason":"systemd does not answer","failed":[]}\n'
    return
  fi
  printf '%s\n' "$units" | awk "$helpers"'
    NF { n++; unit[n] = $1; $1 = $2 = $3 = $4 = ""; sub(/^ +/, ""); about[n] = $0 }
    END {
      text("Failed services: " (n ? n : "none"))
      for (i = 1; i <= n; i++) {
        text("  " unit[i] (about[i] == "" ? "" : " (" about[i] ")"))
        list = list (i > 1 ? "," : "") quoted(unit[i])
      }
      data("\"services\":{\"available\":true,\"failed\":[" list "]}")
    }'
}

updates() {
  if ! command -v apt >/dev/null 2>&1; then
    printf 'T\tUpdates: not available (no apt)\nJ\t"updates":{"available":false,"reason":"no apt","packages":[]}\n'
    return
  fi
  if ! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1; then
    printf 'T\tUpdates: not known (the package lists were never fetched)\nJ\t"updates":{"available":false,"reason":"no package lists","packages":[]}\n'
    return
  fi
  fetched=$(stat -c %Y /var/lib/apt/lists/partial 2>/dev/null || stat -c %Y /var/lib/apt/lists)
  age=$((($(date +%s) - fetched) / 86400))
  reboot=false; [ -e /run/reboot-required ] && reboot=true
  # This is a report: apt's cache file is used while it is fresh, and otherwise not rewritten.
  cache=/var/cache/apt/pkgcache.bin
  if [ "$cache" -nt /var/lib/dpkg/status ] && [ "$cache" -nt /var/lib/apt/lists/partial ]; then set --
  else set -- -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=; fi
  # No sprintf around long text: mawk's holds 8192 bytes.
  bounded apt -qq "$@" list --upgradable 2>/dev/null | awk -v age="$age" -v reboot="$reboot" "$helpers"'
    /^[^ ]+\/[^ ]+ [^ ]+ / {
      n++
      name = $1; sub(/\/.*/, "", name)
      from = $0; sub(/.*: /, "", from); sub(/\]$/, "", from)
      safe[n] = ($1 ~ /-security/)
      security += safe[n]
      line[n] = "  " name " " from " -> " $2 (safe[n] ? "  (security)" : "")
      if (n <= 200) list = list (n > 1 ? "," : "") "{\"name\":" quoted(name) ",\"from\":" quoted(from) \
        ",\"to\":" quoted($2) ",\"security\":" (safe[n] ? "true" : "false") "}"
    }
    END {
      when = age <= 0 ? "today" : age == 1 ? "yesterday" : age " days ago"
      text("Updates: " (n ? n " pending" : "none pending") (security ? ", " security " of them for security" : "") \
        " (package lists fetched " when ")" (reboot == "true" ? "; a reboot is needed" : ""))
      shown = 0
      for (first = 1; first >= 0; first--)
        for (i = 1; i <= n && shown < 10; i++) if (safe[i] == first) { text(line[i]); shown++ }
      if (n > shown) text("  and " n - shown " more")
      # The list is cut at 200 packages; pending counts them all.
      data("\"updates\":{\"available\":true,\"pending\":" n + 0 ",\"security\":" security + 0 ",\"lists_age_days\":" age ",\"reboot_required\":" reboot ",\"packages\":[" list "]}")
    }'
}

# Drops what is no text: control characters become `?`, broken UTF-8 goes.
clean() {
  tr '\000-\010\013-\037\177' '?' | if command -v iconv >/dev/null 2>&1; then iconv -c -f UTF-8 -t UTF-8; else tr '\200-\377' '?'; fi
}

for part in disks memory load services updates; do
  if wanted "$part"; then "$part"; fi
done | clean | awk "$helpers"'
  /^T\t/ { answer = answer (answer == "" ? "" : "\n") substr($0, 3) }
  /^J\t/ { members = members (members == "" ? "" : ",") substr($0, 3) }
  END {
    n = split(answer, lines, "\n")
    for (i = 1; i <= n; i++) { q = quoted(lines[i]); joined = joined (i > 1 ? "\\n" : "") substr(q, 2, length(q) - 2) }
    print "{\"answer\":\"" joined "\",\"data\":{" members "}}"
  }'
