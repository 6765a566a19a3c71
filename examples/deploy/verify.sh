#!/bin/sh
# Does what the Dockerfile and compose.yaml do, in a scratch folder and without a container engine: packs, installs, and runs server, app and
# nginx as a user without a name, on a file system that is read-only but for /data. Needs root, Linux, openssl, nginx, and `npm run build`.
# With DATABASE_URL the server uses that PostgreSQL, else SQLite.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
scratch=$(mktemp -d)
trap 'kill $(cat "$scratch"/*.pid 2>/dev/null) 2>/dev/null || true; rm -rf "$scratch"' EXIT
chmod 755 "$scratch"
[ -f "$root/packages/server/dist/cli.mjs" ] && [ -f "$root/examples/express/dist/main.js" ] || { echo 'Run npm run build first'; exit 1; }
mkdir "$scratch/server" "$scratch/app" "$scratch/tmp" "$scratch/home"
install -d -o 54321 -g 0 -m 0770 "$scratch/data"
chmod 1777 "$scratch/tmp"
fail() { echo "FAILED: $*"; tail -n 20 "$scratch"/*.log; exit 1; }

echo '- pack and install'
(cd "$root" && node scripts/pnpm.mjs --filter './packages/{core,express,server}' -r pack --out "$scratch/%s.tgz" >/dev/null)
for folder in server app; do echo '{ "private": true, "type": "module" }' >"$scratch/$folder/package.json"; done
(cd "$scratch/server" && npm install --omit=dev --no-audit --no-fund --install-links "$scratch/passage-auth-server.tgz" >/dev/null)
(cd "$scratch/app" && npm install --omit=dev --no-audit --no-fund --install-links \
  "$scratch/passage-auth-core.tgz" "$scratch/passage-auth-express.tgz" express@5 >/dev/null)
cp -R "$root/examples/express/dist" "$scratch/app/dist"
cp "$here/healthcheck.mjs" "$scratch/server"

port() { node -e 'const s = require("net").createServer().listen(0, () => { console.log(s.address().port); s.close(); })'; }
server=$(port) app=$(port) proxy=$(port)
public="http://localhost:$proxy"
sh "$here/env.sh" >"$scratch/.env"
. "$scratch/.env"

# As a container does: no name for the user, no capabilities, nothing of this shell's environment, a root that is read-only.
contained() {
  name=$1 folder=$2
  shift 2
  cat >"$scratch/$name.sh" <<'END'
    mount --bind "$DATA" "$DATA" && mount --bind "$TEMP" "$TEMP" && mount -o remount,bind,ro / || exit 99
    cd "$FOLDER"
    exec setpriv --reuid=54321 --regid=0 --clear-groups --bounding-set=-all --no-new-privs "$@"
END
  env -i PATH="$PATH" HOME= NODE_ENV=production FOLDER="$folder" DATA="$scratch/data" TEMP="$scratch/tmp" \
    unshare --mount sh "$scratch/$name.sh" "$@" >"$scratch/$name.log" 2>&1 &
  echo $! >"$scratch/$name.pid"
}
wait_for() { for _ in $(seq 60); do "$@" >/dev/null 2>&1 && return; sleep 0.5; done; fail "$*"; }
status() { curl -s -o /dev/null -w '%{http_code}' "$@"; }
expect() { expected=$1; shift; got=$(status "$@"); [ "$got" = "$expected" ] || fail "$* is $got, not $expected"; echo "- $expected ${2:-$1}" | sed "s|$public||"; }

echo '- start'
contained server "$scratch/server" env PORT="$server" PASSAGE_BASE_URL="$public/passage" PASSAGE_SECRET="$PASSAGE_SECRET" \
  PASSAGE_APP_ID="$PASSAGE_APP_ID" PASSAGE_API_KEY="$PASSAGE_API_KEY" PASSAGE_TRUSTED_PROXIES=127.0.0.1 \
  DATABASE_URL="${DATABASE_URL:-$scratch/data/passage.db}" node node_modules/@passage-auth/server/dist/cli.mjs
wait_for env PORT="$server" PASSAGE_BASE_URL="$public/passage" node "$scratch/server/healthcheck.mjs"
echo '- the health check passes'
contained app "$scratch/app" env PORT="$app" PASSAGE_APP_ID="$PASSAGE_APP_ID" PASSAGE_API_KEY="$PASSAGE_API_KEY" \
  PASSAGE_BASE_URL="http://127.0.0.1:$server/passage" PASSAGE_ISSUER="$public/passage/auth/v1/apps/$PASSAGE_APP_ID" node dist/main.js
sed -e "s|passage:3000|127.0.0.1:$server|; s|app:3000|127.0.0.1:$app|; s|listen 8080|listen $proxy|; s|/tmp/|$scratch/tmp/|" \
  "$here/nginx.conf" >"$scratch/nginx.conf"
contained nginx "$scratch" nginx -c "$scratch/nginx.conf" -e stderr -g 'daemon off;'
wait_for curl -sf "$public/"

expect 200 "$public/passage/livez"
expect 200 "$public/passage/readyz"
expect 200 "$public/passage/login"
expect 404 "$public/passage/metrics"
expect 401 "$public/protected"
curl -s "$public/" | grep -q "$public/passage/login" || fail 'the app does not lead to the public login page'
echo '- the app leads to the public login page'

# A code that reaches a user by the log, since no delivery is set; its tokens open the app.
api="$public/passage/auth/v1/apps/$PASSAGE_APP_ID"
json() { curl -sS -H 'Content-Type: application/json' -d "$2" "$1"; }
field() { node -p "JSON.parse(require('fs').readFileSync(0, 'utf8'))$1"; }
otp=$(json "$api/register/otp" '{"identifier":"ada@example.com"}' | field .otp_id)
code=$(grep -oE '\b[0-9]{6}\b' "$scratch/server.log" | tail -n 1)
token=$(json "$api/otp/activate" "{\"otp\":\"$code\",\"otp_id\":\"$otp\"}" | field .auth_result.auth_token)
expect 200 -HAuthorization:"Bearer $token" "$public/protected"
expect 200 -HAuthorization:"Bearer $token" "$public/me"

stops() {
  pid=$(cat "$scratch/$1.pid")
  kill -TERM "$pid"
  code=0
  wait "$pid" || code=$?
  rm "$scratch/$1.pid"
  [ "$code" = 0 ] || fail "$1 ended with $code at SIGTERM"
  echo "- SIGTERM ends $1 with 0"
}
stops app
stops server
echo 'All of it passed'
