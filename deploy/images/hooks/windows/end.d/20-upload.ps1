# Uploads the folder that the participant worked in to the bucket that C:\ProgramData\greenroom\bucket names, and tells greenroom where it is.
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$config = 'C:\ProgramData\greenroom\bucket'
if (-not (Test-Path $config)) { exit 0 }
$bucket = (Get-Content $config -First 1).Trim()
$archive = Join-Path $env:TEMP "$env:GREENROOM_MEETING_ID-$env:GREENROOM_ROLE.zip"
Compress-Archive -Path "C:\Users\$env:GREENROOM_USER\Documents\*" -DestinationPath $archive -Force
Write-S3Object -BucketName $bucket -File $archive -Key "$env:GREENROOM_MEETING_ID/$env:GREENROOM_ROLE.zip"
Write-Output "session-data-url: s3://$bucket/$env:GREENROOM_MEETING_ID/$env:GREENROOM_ROLE.zip"
