# For an image of your own without greenroom's agent (agent: none in the blueprint): tells DCV the token verifier that greenroom
# put into the user data. Run it at every boot before the service dcvserver, as SYSTEM.
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$metadata = 'http://169.254.169.254/latest'
$token = Invoke-RestMethod -Method Put -TimeoutSec 5 -Headers @{ 'X-aws-ec2-metadata-token-ttl-seconds' = '60' } -Uri "$metadata/api/token"
$data = Invoke-RestMethod -TimeoutSec 5 -Headers @{ 'X-aws-ec2-metadata-token' = $token } -Uri "$metadata/user-data"
if ($data -is [string]) { $data = $data | ConvertFrom-Json }
$root = 'Registry::HKEY_USERS\S-1-5-18\Software\GSettings\com\nicesoftware\dcv'
function Set-Dcv($section, $name, $value, $type) {
    $path = "$root\$section"
    if (-not (Test-Path $path)) { New-Item $path -Force | Out-Null }
    Set-ItemProperty $path -Name $name -Value $value -Type $type
}
Set-Dcv 'security' 'auth-token-verifier' $data.verify_url 'String'
Set-Dcv 'security' 'os-auto-lock' 0 'DWord'
Set-Dcv 'session-management' 'create-session' 1 'DWord'
Set-Dcv 'session-management\automatic-console-session' 'owner' $data.user 'String'
Set-Dcv 'connectivity' 'idle-timeout' 0 'DWord'
Restart-Service dcvserver
