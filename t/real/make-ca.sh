#!/bin/sh
# Makes a CA and a server certificate for localhost and 127.0.0.1, good for a month:
#   make-ca.sh DIR   ->   DIR/ca.pem  DIR/server.pem  DIR/server.key  DIR/spki
# DIR/spki holds the SHA-256 of the server's public key, by which Chromium can be told to trust it.
set -eu
dir=$1
new_key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"

# shellcheck disable=SC2086
openssl req -x509 $new_key -days 30 -subj "/CN=CA of a test" -keyout "$dir/ca.key" -out "$dir/ca.pem" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign" 2>/dev/null
# shellcheck disable=SC2086
openssl req $new_key -subj "/CN=localhost" -keyout "$dir/server.key" -out "$dir/server.csr" 2>/dev/null
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' > "$dir/server.ext"
openssl x509 -req -days 30 -in "$dir/server.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial \
    -extfile "$dir/server.ext" -out "$dir/server.pem" 2>/dev/null
openssl pkey -in "$dir/server.key" -pubout -outform der | openssl dgst -sha256 -binary | openssl base64 > "$dir/spki"
