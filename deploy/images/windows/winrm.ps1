<powershell>
# Lets Packer in while the image is made: WinRM over TLS with a certificate of this machine.
$ErrorActionPreference = 'Stop'
$certificate = New-SelfSignedCertificate -CertStoreLocation Cert:\LocalMachine\My -DnsName 'packer'
Enable-PSRemoting -Force -SkipNetworkProfileCheck
Get-ChildItem WSMan:\localhost\Listener | Remove-Item -Recurse -Force
New-Item -Path WSMan:\localhost\Listener -Transport HTTPS -Address * -CertificateThumbPrint $certificate.Thumbprint -Force
Set-Item WSMan:\localhost\Service\Auth\Basic $true
New-NetFirewallRule -DisplayName 'WinRM over TLS (image)' -Direction Inbound -LocalPort 5986 -Protocol TCP -Action Allow
</powershell>
