@dotnet "%~dp0trainer.dll" %*
