# The participant's shell on a kiosk: the meeting's page full screen, again whenever it is closed.
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$file = 'C:\ProgramData\greenroom\video-url'
while ($true) {
    if (Test-Path $file) {
        $url = (Get-Content $file -First 1).Trim()
        if ($url -match '^https?://[^\s"]+$') {
            Start-Process -Wait 'C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe' -ArgumentList '--kiosk', $url, '--edge-kiosk-type=fullscreen', '--no-first-run'
        }
    }
    Start-Sleep -Seconds 1
}
