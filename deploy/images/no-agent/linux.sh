#!/usr/bin/env bash
# For an image of your own without greenroom's agent (agent: none in the blueprint): tells DCV the token verifier that greenroom
# put into the user data. Run it at every boot before dcvserver, as a unit with Before=dcvserver.service. Needs curl and jq.
set -euo pipefail
metadata=http://169.254.169.254/latest
token=$(curl -fsS --noproxy '*' --retry 5 --max-time 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$metadata/api/token")
data=$(curl -fsS --noproxy '*' --retry 5 --max-time 5 -H "X-aws-ec2-metadata-token: $token" "$metadata/user-data")
verifier=$(jq -er .verify_url <<<"$data")
owner=$(jq -er .user <<<"$data")
ca=$(jq -r '.control_ca // ""' <<<"$data")
conf=$(mktemp /etc/dcv/.dcv.conf.XXXXXX)
chmod 600 "$conf"
{
  printf '[security]\nauth-token-verifier="%s"\nos-auto-lock=false\n' "$verifier"
  if [ -n "$ca" ]; then
    printf '%s\n' "$ca" >/etc/dcv/greenroom-ca.pem
    printf 'ca-file="/etc/dcv/greenroom-ca.pem"\n'
  fi
  printf '[session-management]\ncreate-session=true\n[session-management/automatic-console-session]\nowner="%s"\n' "$owner"
  printf '[connectivity]\nidle-timeout=0\n'
} >"$conf"
chown dcv: "$conf"
mv "$conf" /etc/dcv/dcv.conf
