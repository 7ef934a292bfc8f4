# A receiver of cwconnect's notifications, with PowerShell 7 alone: verify, keep, answer, then work.
#
#     $env:SIGNATURE_KEY = "the instance's signature key"; $env:PORT = "8080"; pwsh receiver.ps1
#
# A notification that is genuine is written to the folder `inbox` before it is answered, so a crash loses none. A repeat,
# known by its webhook-id, is answered and not worked on again. What is in the inbox is worked on in order, one request
# after another: for a few notifications a second.

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$Key = $env:SIGNATURE_KEY
if (-not $Key) { throw 'SIGNATURE_KEY is not set.' }
$Port = $env:PORT ? $env:PORT : '8080'
$Inbox = $env:INBOX ? $env:INBOX : (Join-Path (Get-Location).Path 'inbox')
$Done = Join-Path $Inbox 'done'
$LargestBody = 64MB
$Oldest = 300  # seconds: an older signature may be a recorded one, played again

# Of `whsec_<base64>` what it encodes, else the key's UTF-8.
function Get-Secret {
    if ($Key.StartsWith('whsec_', [StringComparison]::Ordinal)) {
        try { return , [Convert]::FromBase64String($Key.Substring(6)) }
        catch [FormatException] { Write-Verbose 'A key that only looks like one.' }
    }
    return , [Text.Encoding]::UTF8.GetBytes($Key)
}

function Test-Genuine($Headers, [string] $Id, [byte[]] $Body) {
    $Timestamp = [string] $Headers['webhook-timestamp']
    if ($Timestamp -notmatch '\A[0-9]{1,12}\z') { return $false }
    if ([Math]::Abs([DateTimeOffset]::UtcNow.ToUnixTimeSeconds() - [long] $Timestamp) -gt $Oldest) { return $false }
    [byte[]] $Signed = [Text.Encoding]::UTF8.GetBytes("$Id.$Timestamp.") + $Body
    $Digest = [Security.Cryptography.HMACSHA256]::HashData([byte[]] (Get-Secret), $Signed)
    $Expected = [Text.Encoding]::UTF8.GetBytes('v1,' + [Convert]::ToBase64String($Digest))
    foreach ($Signature in ([string] $Headers['webhook-signature']).Split(' ')) {
        # Several while the key is being rotated.
        $Given = [Text.Encoding]::UTF8.GetBytes($Signature)
        if ([Security.Cryptography.CryptographicOperations]::FixedTimeEquals($Expected, $Given)) { return $true }
    }
    return $false
}

# Writes a notification to the inbox, whole or not at all, unless it is a repeat.
function Save-Notification([string] $Id, [byte[]] $Body, [bool] $IsReplay) {
    $Path = Join-Path $Inbox "$Id.json"
    if (-not $IsReplay -and ((Test-Path $Path) -or (Test-Path (Join-Path $Done "$Id.json")))) { return }
    $Part = Join-Path $Inbox "$Id.part"
    $File = [IO.File]::Create($Part)
    try {
        $File.Write($Body, 0, $Body.Length)
        $File.Flush($true)
    }
    finally { $File.Dispose() }
    [IO.File]::Move($Part, $Path, $true)
}

# Works on what is in the inbox, in the order of the notifications' ids; then puts it aside.
function Invoke-Inbox {
    $Waiting = foreach ($File in Get-ChildItem $Inbox -Filter '*.json' -File) {
        @{ Path = $File.FullName; Name = $File.Name; Notification = Get-Content -Raw $File.FullName | ConvertFrom-Json -AsHashtable }
    }
    foreach ($Each in @($Waiting) | Where-Object { $_ } | Sort-Object { [long] $_.Notification.id }) {
        $Message = $Each.Notification.message
        $Records = @($Message.raw[$Message.raw.objectType])
        for ($Index = 0; $Index -lt $Message.events.Count; $Index++) {
            Invoke-Change $Message.events[$Index] $Records[$Index]
        }
        [IO.File]::Move($Each.Path, (Join-Path $Done $Each.Name), $true)
    }
}

# Does what your program does with a change. May be called again for one after a crash, so do it by `objectId`.
function Invoke-Change($Change, $Record) {
    Write-Host "$($Change.eventType) $($Change.objectType)/$($Change.objectId) $($Record['name'])"
}

function Receive-Notification($Request) {
    if ($Request.HttpMethod -ne 'POST') { return 405 }
    if ($Request.ContentLength64 -gt $LargestBody) { return 413 }
    $Read = [IO.MemoryStream]::new()
    $Request.InputStream.CopyTo($Read)
    $Body = $Read.ToArray()
    $Id = [string] $Request.Headers['webhook-id']
    if ($Id -notmatch '\Amsg_[A-Za-z0-9-]{1,60}\z' -or -not (Test-Genuine $Request.Headers $Id $Body)) { return 401 }
    Save-Notification $Id $Body ($Request.Headers['Elements-Webhook-Replay'] -eq 'true')
    return 204
}

New-Item -ItemType Directory -Force $Done | Out-Null
Invoke-Inbox
$Listener = [Net.HttpListener]::new()
$Listener.Prefixes.Add("http://127.0.0.1:$Port/")
$Listener.Start()
try {
    while ($true) {
        $Context = $Listener.GetContext()
        $Status = 500  # it could not be kept: cwconnect sends it again
        try { $Status = Receive-Notification $Context.Request }
        catch { Write-Warning "$_" }
        try {
            $Context.Response.StatusCode = $Status
            $Context.Response.Close()
        }
        catch { Write-Warning "$_" }  # the caller has gone
        if ($Status -eq 204) { Invoke-Inbox }
    }
}
finally { $Listener.Stop() }
