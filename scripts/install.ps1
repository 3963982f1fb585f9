# Publishes trainer with its runtime into a folder of its own and adds it to the user's path, on Windows.
#   scripts\install.ps1 [-Prefix FOLDER]        default %LOCALAPPDATA%\Programs\trainer
# Needs the .NET SDK of global.json to build; what it installs needs none, but on arm64 .NET with ASP.NET Core, whose runtime is not in every feed to go along.
param([string]$Prefix = (Join-Path $env:LOCALAPPDATA 'Programs\trainer'))
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '..')
if (-not (Get-Command dotnet -ErrorAction SilentlyContinue)) { [Console]::Error.WriteLine("error: no 'dotnet' in PATH; install the .NET SDK that global.json names"); exit 69 }
$fresh = "$Prefix.new"
if (Test-Path $fresh) { Remove-Item -Recurse -Force $fresh }
$arm = [System.Runtime.InteropServices.RuntimeInformation]::OSArchitecture -eq 'Arm64'
$runtime, $whole, $program = if ($arm) { 'win-arm64', 'false', 'trainer.cmd' } else { 'win-x64', 'true', 'trainer.exe' }
dotnet publish src/Trainer.Cli -c Release -r $runtime --self-contained $whole "-p:SelfContained=$whole" -p:NuGetLockFilePath=obj/publish.lock.json -o $fresh -v q --nologo
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
& (Join-Path $fresh $program) doctor
if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
if (Test-Path $Prefix) { Remove-Item -Recurse -Force $Prefix }
Move-Item $fresh $Prefix
$path = [Environment]::GetEnvironmentVariable('Path', 'User')
if (($path -split ';') -notcontains $Prefix) { [Environment]::SetEnvironmentVariable('Path', "$path;$Prefix", 'User') }
Write-Output "installed $(& (Join-Path $Prefix $program) --version) in $Prefix; open a new window to have it in the path"
