# Writes down the meeting's video room for the kiosk shell, or for whoever opens it on the desktop.
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
if (-not $env:GREENROOM_VIDEO_URL) { exit 0 }
Set-Content -Path 'C:\ProgramData\greenroom\video-url' -Value $env:GREENROOM_VIDEO_URL -Encoding ascii
