# Publishes trainer with its runtime into a folder of its own and adds it to the user's path, on Windows.
#   scripts\install.ps1 [-Prefix FOLDER]        default %LOCALAPPDATA%\Programs\trainer
# Needs the .NET SDK of global.json to build; what it installs needs none.
param([string]$Prefix = (Join-Path $env:LOCALAPPDATA 'Programs\trainer'))
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '..')
if (-not (Get-Command dotnet -ErrorAction SilentlyContinue)) { [Console]::Error.WriteLine("error: no 'dotnet' in PATH; install the .NET SDK that global.json names"); exit 69 }
$fresh = "$Prefix.new"
if (Test-Path $fresh) { Remove-Item -Recurse -Force $fresh }
dotnet publish src/Trainer.Cli -c Release -r win-x64 --self-contained true -p:SelfContained=true -p:NuGetLockFilePath=obj/publish.lock.json -o $fresh -v q --nologo
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
& (Join-Path $fresh 'trainer.exe') doctor
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
if (Test-Path $Prefix) { Remove-Item -Recurse -Force $Prefix }
Move-Item $fresh $Prefix
$path = [Environment]::GetEnvironmentVariable('Path', 'User')
if (($path -split ';') -notcontains $Prefix) { [Environment]::SetEnvironmentVariable('Path', "$path;$Prefix", 'User') }
Write-Output "installed $(& (Join-Path $Prefix 'trainer.exe') --version) in $Prefix; open a new window to have it in the path"
