# Makes a Windows Server machine a greenroom desktop with a DCV console session. As Administrator; image.pkr.hcl runs it.
# DCV itself is fetched from Amazon and accepted under Amazon's licence by whoever makes the image; it is not part of greenroom.
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
[Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12

$user = $env:DESKTOP_USER
$installer = Join-Path $env:TEMP 'dcv.msi'

# The installer must be the one that was meant, and signed by its makers.
Invoke-WebRequest -UseBasicParsing -Uri $env:DCV_URL -OutFile $installer
$hash = (Get-FileHash -Algorithm SHA256 $installer).Hash.ToLowerInvariant()
if ($hash -ne $env:DCV_SHA256) { throw "the installer's SHA-256 is $hash" }
$signature = Get-AuthenticodeSignature $installer
if ($signature.Status -ne 'Valid' -or $signature.SignerCertificate.Subject -notmatch 'Amazon') {
    throw "the installer's signature is $($signature.Status), by $($signature.SignerCertificate.Subject)"
}

# The participant's password is random and only known to the machine itself, which signs in with it: only tokens let in.
$bytes = New-Object byte[] 24
[Security.Cryptography.RandomNumberGenerator]::Create().GetBytes($bytes)
$password = 'Gr1!' + [Convert]::ToBase64String($bytes)
$secure = ConvertTo-SecureString $password -AsPlainText -Force
New-LocalUser -Name $user -Password $secure -PasswordNeverExpires -UserMayNotChangePassword | Out-Null
Add-LocalGroupMember -Group 'Users' -Member $user
$winlogon = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon'
Set-ItemProperty $winlogon -Name AutoAdminLogon -Value '1'
Set-ItemProperty $winlogon -Name DefaultUserName -Value $user
Set-ItemProperty $winlogon -Name DefaultPassword -Value $password

$arguments = @('/i', $installer, '/quiet', '/norestart', 'ADDLOCAL=ALL', 'REMOVE=usbDriver', 'DISABLE_AUTOMATIC_SESSION_CREATION=1', "AUTOMATIC_SESSION_OWNER=$user", '/l*v', 'C:\Windows\Temp\dcv-install.log')
$msi = Start-Process msiexec.exe -ArgumentList $arguments -Wait -PassThru
if ($msi.ExitCode -notin 0, 3010) { throw "the installer ended with $($msi.ExitCode); see C:\Windows\Temp\dcv-install.log" }
Remove-Item $installer

# The screen neither locks nor sleeps.
powercfg.exe /change monitor-timeout-ac 0
powercfg.exe /change standby-timeout-ac 0
$policies = 'HKLM:\SOFTWARE\Policies\Microsoft\Windows\Personalization'
New-Item $policies -Force | Out-Null
Set-ItemProperty $policies -Name NoLockScreen -Value 1 -Type DWord

if ($env:KIOSK -eq 'true') {
    # The shell of the participant is the meeting's page, which the warm-up hook wrote down before anybody comes.
    $kiosk = 'powershell.exe -NoProfile -WindowStyle Hidden -ExecutionPolicy Bypass -File C:\ProgramData\greenroom\kiosk.ps1'
    Set-ItemProperty $winlogon -Name Shell -Value $kiosk
}

& 'C:\Program Files\greenroom\greenroom-agent.exe' install
if ($LASTEXITCODE -ne 0) { throw 'the agent could not be installed' }
# The agent's directory holds the machine's key: nobody but the system and administrators reads it.
New-Item -ItemType Directory -Force 'C:\ProgramData\greenroom\agent' | Out-Null
icacls.exe 'C:\ProgramData\greenroom\agent' /inheritance:r /grant 'SYSTEM:(OI)(CI)F' 'Administrators:(OI)(CI)F' | Out-Null
icacls.exe 'C:\ProgramData\greenroom' /inheritance:r /grant 'SYSTEM:(OI)(CI)F' 'Administrators:(OI)(CI)F' 'Users:(OI)(CI)RX' | Out-Null
