#!/usr/bin/env bash
# Makes an Ubuntu 22.04 machine a greenroom desktop with a DCV console session. As root; image.pkr.hcl runs it.
# DCV itself is fetched from Amazon and accepted under Amazon's licence by whoever makes the image; it is not part of greenroom.
set -euo pipefail
: "${DCV_URL:?}" "${DCV_SHA256:?}" "${KEY_URL:?}" "${DESKTOP_USER:?}"
export DEBIAN_FRONTEND=noninteractive

cloud-init status --wait >/dev/null || true # it may be installing, too
apt-get update -q
apt-get install -yq --no-install-recommends ubuntu-desktop-minimal libnotify-bin zenity curl jq ffmpeg dpkg-sig gnupg awscli epiphany-browser

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# The archive must be the one that was meant, and every package in it signed by its makers.
curl -fsSL --proto '=https' --max-time 600 -o dcv.tgz "$DCV_URL"
echo "$DCV_SHA256  dcv.tgz" | sha256sum --check --strict -
curl -fsSL --proto '=https' --max-time 60 "$KEY_URL" | gpg --import
mkdir dcv
tar -xzf dcv.tgz -C dcv --strip-components=1
packages=(dcv/nice-dcv-server_*.deb dcv/nice-dcv-web-viewer_*.deb dcv/nice-xdcv_*.deb)
for package in "${packages[@]}"; do
  dpkg-sig --verify "$package" | grep -q GOODSIG || {
    echo "the signature of $package is not good" >&2
    exit 1
  }
done
apt-get install -yq "${packages[@]/#/./}"
usermod -aG video dcv

# The participant has no password that anybody knows: only tokens let in. The screen neither locks nor sleeps.
id "$DESKTOP_USER" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$DESKTOP_USER"
passwd --lock "$DESKTOP_USER"
cat >/etc/gdm3/custom.conf <<CONF
[daemon]
WaylandEnable=false
AutomaticLoginEnable=true
AutomaticLogin=$DESKTOP_USER
CONF
install -d /etc/dconf/profile /etc/dconf/db/local.d
printf 'user-db:user\nsystem-db:local\n' >/etc/dconf/profile/user
cat >/etc/dconf/db/local.d/00-greenroom <<'CONF'
[org/gnome/desktop/screensaver]
lock-enabled=false
[org/gnome/desktop/session]
idle-delay=uint32 0
[org/gnome/settings-daemon/plugins/power]
sleep-inactive-ac-type='nothing'
CONF
dconf update
systemctl set-default graphical.target

# Without a GPU, the console session is drawn by Xdcv in place of Xorg.
dpkg-divert --package nice-xdcv --divert /usr/bin/Xorg.orig --rename /usr/bin/Xorg
ln -sf /usr/bin/Xdcv-console /usr/bin/Xorg
systemctl enable dcvserver

install -m 755 /tmp/greenroom-agent /usr/local/bin/greenroom-agent
install -d -m 755 /etc/greenroom
cp -r /tmp/greenroom-hooks/. /etc/greenroom/
chmod 755 /etc/greenroom/*.d/*
/usr/local/bin/greenroom-agent install

# Nothing of this machine goes into the image.
rm -rf /etc/dcv/dcv.pem /etc/dcv/dcv.key /var/lib/greenroom-agent /tmp/greenroom-agent /tmp/greenroom-hooks
cloud-init clean --logs
rm -f /etc/ssh/ssh_host_* /root/.ssh/authorized_keys /home/ubuntu/.ssh/authorized_keys
