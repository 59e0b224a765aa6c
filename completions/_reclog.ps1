
using namespace System.Management.Automation
using namespace System.Management.Automation.Language

Register-ArgumentCompleter -Native -CommandName 'reclog' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    $commandElements = $commandAst.CommandElements
    $command = @(
        'reclog'
        for ($i = 1; $i -lt $commandElements.Count; $i++) {
            $element = $commandElements[$i]
            if ($element -isnot [StringConstantExpressionAst] -or
                $element.StringConstantType -ne [StringConstantType]::BareWord -or
                $element.Value.StartsWith('-') -or
                $element.Value -eq $wordToComplete) {
                break
        }
        $element.Value
    }) -join ';'

    $completions = @(switch ($command) {
        'reclog' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('up', 'up', [CompletionResultType]::ParameterValue, 'Open the port on the jump host and collect what is sent there')
            [CompletionResult]::new('listen', 'listen', [CompletionResultType]::ParameterValue, 'Collect on a port of this machine, without SSH')
            [CompletionResult]::new('down', 'down', [CompletionResultType]::ParameterValue, 'Drain, cancel the forward, flush, fsync, stop')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'What runs, what arrived, what is wrong')
            [CompletionResult]::new('health', 'health', [CompletionResultType]::ParameterValue, 'One sentence a trouble; exit code 0 when there is none')
            [CompletionResult]::new('metrics', 'metrics', [CompletionResultType]::ParameterValue, 'The figures of the status as Prometheus reads them')
            [CompletionResult]::new('tail', 'tail', [CompletionResultType]::ParameterValue, 'Show records as they arrive, safe for a terminal')
            [CompletionResult]::new('web', 'web', [CompletionResultType]::ParameterValue, 'Show all streams in a browser: live, and back to the first line')
            [CompletionResult]::new('audit', 'audit', [CompletionResultType]::ParameterValue, 'Who connected, what was refused, cut, stalled, rotated')
            [CompletionResult]::new('kick', 'kick', [CompletionResultType]::ParameterValue, 'Reconnect now')
            [CompletionResult]::new('rotate', 'rotate', [CompletionResultType]::ParameterValue, 'Put the file away now and begin a new one')
            [CompletionResult]::new('restart', 'restart', [CompletionResultType]::ParameterValue, 'Down and up in one: the profile read anew, this release, the shortest gap')
            [CompletionResult]::new('doctor', 'doctor', [CompletionResultType]::ParameterValue, 'Prove, step by step, that senders can get through')
            [CompletionResult]::new('how', 'how', [CompletionResultType]::ParameterValue, 'Print a ready-to-paste sender line')
            [CompletionResult]::new('send', 'send', [CompletionResultType]::ParameterValue, 'Send lines of standard input or of files to a collector')
            [CompletionResult]::new('harden', 'harden', [CompletionResultType]::ParameterValue, 'Print, or prove, that the key can do no more than it needs')
            [CompletionResult]::new('profile', 'profile', [CompletionResultType]::ParameterValue, 'Saved profiles')
            [CompletionResult]::new('service', 'service', [CompletionResultType]::ParameterValue, 'A profile that runs by itself, looked after by systemd')
            [CompletionResult]::new('completions', 'completions', [CompletionResultType]::ParameterValue, 'Print the completion script of a shell')
            [CompletionResult]::new('man', 'man', [CompletionResultType]::ParameterValue, 'Show a page of the manual, or write all of them')
            [CompletionResult]::new('demo', 'demo', [CompletionResultType]::ParameterValue, 'The whole path on this machine, with an embedded jump host')
            break
        }
        'reclog;up' {
            [CompletionResult]::new('--remote-port', '--remote-port', [CompletionResultType]::ParameterName, 'Port to open on the jump host; 0 lets the jump host choose')
            [CompletionResult]::new('--bind', '--bind', [CompletionResultType]::ParameterName, 'Address to bind on the jump host [default: * (all interfaces)]')
            [CompletionResult]::new('--probe-every', '--probe-every', [CompletionResultType]::ParameterName, 'How often to prove that senders get through [default: 5m]')
            [CompletionResult]::new('-i', '-i', [CompletionResultType]::ParameterName, 'Private key file; repeatable')
            [CompletionResult]::new('--identity', '--identity', [CompletionResultType]::ParameterName, 'Private key file; repeatable')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Port of the SSH server')
            [CompletionResult]::new('--port', '--port', [CompletionResultType]::ParameterName, 'Port of the SSH server')
            [CompletionResult]::new('-F', '-F ', [CompletionResultType]::ParameterName, 'Configuration file to read instead of the user''s and the system''s ssh_config')
            [CompletionResult]::new('--ssh-config', '--ssh-config', [CompletionResultType]::ParameterName, 'Configuration file to read instead of the user''s and the system''s ssh_config')
            [CompletionResult]::new('-J', '-J ', [CompletionResultType]::ParameterName, 'Go through these hosts, in order: [user@]host[:port]; several with commas between, or repeated')
            [CompletionResult]::new('--jump', '--jump', [CompletionResultType]::ParameterName, 'Go through these hosts, in order: [user@]host[:port]; several with commas between, or repeated')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Keyword of ssh_config, as ssh takes it; repeatable')
            [CompletionResult]::new('--out', '--out', [CompletionResultType]::ParameterName, 'Where records go: a file to append to, - (with --foreground), exec:COMMAND, syslog+udp://HOST:PORT, syslog+tcp:// or syslog+unix:///PATH; repeatable, the first one is what senders wait for')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'What records look like [default: raw]')
            [CompletionResult]::new('--prefix', '--prefix', [CompletionResultType]::ParameterName, 'Text in front of every record: {n}, {time}, {peer}, {keyword}, {stream}; means --format prefix')
            [CompletionResult]::new('--keyword-file', '--keyword-file', [CompletionResultType]::ParameterName, 'File with the word that senders have to say first; -: ask for it')
            [CompletionResult]::new('--allow', '--allow', [CompletionResultType]::ParameterName, 'Let only these senders in: an address or CIDR; repeatable [default: all]')
            [CompletionResult]::new('--deny', '--deny', [CompletionResultType]::ParameterName, 'Never let these senders in: an address or CIDR; repeatable')
            [CompletionResult]::new('--framing', '--framing', [CompletionResultType]::ParameterName, 'How bytes become records [default: lines]')
            [CompletionResult]::new('--max-line', '--max-line', [CompletionResultType]::ParameterName, 'Longest record, line end included; longer ones are split [default: 256KiB]')
            [CompletionResult]::new('--max-connections', '--max-connections', [CompletionResultType]::ParameterName, 'Senders that may be connected at once [default: 4096]')
            [CompletionResult]::new('--max-per-address', '--max-per-address', [CompletionResultType]::ParameterName, 'Senders of one address that may be connected at once [default: 2048]')
            [CompletionResult]::new('--max-new', '--max-new', [CompletionResultType]::ParameterName, 'New connections a second and address [default: 10000]')
            [CompletionResult]::new('--max-rate', '--max-rate', [CompletionResultType]::ParameterName, 'Bytes a second and address, such as 1MB/s; who sends more is closed; 0: no limit [default: 0]')
            [CompletionResult]::new('--max-bytes', '--max-bytes', [CompletionResultType]::ParameterName, 'Bytes of one connection; who sends more is closed; 0: no limit [default: 0]')
            [CompletionResult]::new('--idle-timeout', '--idle-timeout', [CompletionResultType]::ParameterName, 'Close senders that say nothing for so long; 0: never [default: 0]')
            [CompletionResult]::new('--sync', '--sync', [CompletionResultType]::ParameterName, 'When to force written bytes to the disk [default: interval (every second)]')
            [CompletionResult]::new('--min-free', '--min-free', [CompletionResultType]::ParameterName, 'Free space of the disk that is left alone; senders wait below it; 0: off [default: 64MiB]')
            [CompletionResult]::new('--rotate-size', '--rotate-size', [CompletionResultType]::ParameterName, 'Put the file away at this size and begin a new one')
            [CompletionResult]::new('--rotate-every', '--rotate-every', [CompletionResultType]::ParameterName, 'Put it away at these times: hourly, daily, or a time of day such as 03:30')
            [CompletionResult]::new('--rotate-total', '--rotate-total', [CompletionResultType]::ParameterName, 'Bytes of all files put away; the oldest go [default: no limit]')
            [CompletionResult]::new('--rotate-age', '--rotate-age', [CompletionResultType]::ParameterName, 'Delete files put away when they are older, such as 30d [default: no limit]')
            [CompletionResult]::new('--keep', '--keep', [CompletionResultType]::ParameterName, 'Keep so many files put away [default: all]')
            [CompletionResult]::new('--compress', '--compress', [CompletionResultType]::ParameterName, 'Compress files put away [default: none]')
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'Name of the collector [default: the profile''s name, else the host''s]')
            [CompletionResult]::new('--drain-timeout', '--drain-timeout', [CompletionResultType]::ParameterName, 'How long `down` waits for open senders [default: 10s]')
            [CompletionResult]::new('--save', '--save', [CompletionResultType]::ParameterName, 'Save target and options as profile NAME, then start it')
            [CompletionResult]::new('--relay', '--relay', [CompletionResultType]::ParameterName, 'Open the port with a helper on the jump host (python3 or perl), where sshd binds loopback alone')
            [CompletionResult]::new('--no-probe', '--no-probe', [CompletionResultType]::ParameterName, 'Do not prove that senders get through')
            [CompletionResult]::new('--strip-cr', '--strip-cr', [CompletionResultType]::ParameterName, 'Take the CR of lines that end with CRLF away')
            [CompletionResult]::new('--nul', '--nul', [CompletionResultType]::ParameterName, 'NUL ends a line instead of LF; LF is written for it')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Stay in the foreground; Ctrl-C drains and stops')
            [CompletionResult]::new('--foreground', '--foreground', [CompletionResultType]::ParameterName, 'Stay in the foreground; Ctrl-C drains and stops')
            [CompletionResult]::new('--keep-trying', '--keep-trying', [CompletionResultType]::ParameterName, 'Try again when the first connection fails, instead of giving up')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'One JSON object a line on stdout for every step')
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'With --save: replace a profile of that name')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;listen' {
            [CompletionResult]::new('--out', '--out', [CompletionResultType]::ParameterName, 'Where records go: a file to append to, - (with --foreground), exec:COMMAND, syslog+udp://HOST:PORT, syslog+tcp:// or syslog+unix:///PATH; repeatable, the first one is what senders wait for')
            [CompletionResult]::new('--format', '--format', [CompletionResultType]::ParameterName, 'What records look like [default: raw]')
            [CompletionResult]::new('--prefix', '--prefix', [CompletionResultType]::ParameterName, 'Text in front of every record: {n}, {time}, {peer}, {keyword}, {stream}; means --format prefix')
            [CompletionResult]::new('--keyword-file', '--keyword-file', [CompletionResultType]::ParameterName, 'File with the word that senders have to say first; -: ask for it')
            [CompletionResult]::new('--allow', '--allow', [CompletionResultType]::ParameterName, 'Let only these senders in: an address or CIDR; repeatable [default: all]')
            [CompletionResult]::new('--deny', '--deny', [CompletionResultType]::ParameterName, 'Never let these senders in: an address or CIDR; repeatable')
            [CompletionResult]::new('--framing', '--framing', [CompletionResultType]::ParameterName, 'How bytes become records [default: lines]')
            [CompletionResult]::new('--max-line', '--max-line', [CompletionResultType]::ParameterName, 'Longest record, line end included; longer ones are split [default: 256KiB]')
            [CompletionResult]::new('--max-connections', '--max-connections', [CompletionResultType]::ParameterName, 'Senders that may be connected at once [default: 4096]')
            [CompletionResult]::new('--max-per-address', '--max-per-address', [CompletionResultType]::ParameterName, 'Senders of one address that may be connected at once [default: 2048]')
            [CompletionResult]::new('--max-new', '--max-new', [CompletionResultType]::ParameterName, 'New connections a second and address [default: 10000]')
            [CompletionResult]::new('--max-rate', '--max-rate', [CompletionResultType]::ParameterName, 'Bytes a second and address, such as 1MB/s; who sends more is closed; 0: no limit [default: 0]')
            [CompletionResult]::new('--max-bytes', '--max-bytes', [CompletionResultType]::ParameterName, 'Bytes of one connection; who sends more is closed; 0: no limit [default: 0]')
            [CompletionResult]::new('--idle-timeout', '--idle-timeout', [CompletionResultType]::ParameterName, 'Close senders that say nothing for so long; 0: never [default: 0]')
            [CompletionResult]::new('--sync', '--sync', [CompletionResultType]::ParameterName, 'When to force written bytes to the disk [default: interval (every second)]')
            [CompletionResult]::new('--min-free', '--min-free', [CompletionResultType]::ParameterName, 'Free space of the disk that is left alone; senders wait below it; 0: off [default: 64MiB]')
            [CompletionResult]::new('--rotate-size', '--rotate-size', [CompletionResultType]::ParameterName, 'Put the file away at this size and begin a new one')
            [CompletionResult]::new('--rotate-every', '--rotate-every', [CompletionResultType]::ParameterName, 'Put it away at these times: hourly, daily, or a time of day such as 03:30')
            [CompletionResult]::new('--rotate-total', '--rotate-total', [CompletionResultType]::ParameterName, 'Bytes of all files put away; the oldest go [default: no limit]')
            [CompletionResult]::new('--rotate-age', '--rotate-age', [CompletionResultType]::ParameterName, 'Delete files put away when they are older, such as 30d [default: no limit]')
            [CompletionResult]::new('--keep', '--keep', [CompletionResultType]::ParameterName, 'Keep so many files put away [default: all]')
            [CompletionResult]::new('--compress', '--compress', [CompletionResultType]::ParameterName, 'Compress files put away [default: none]')
            [CompletionResult]::new('--name', '--name', [CompletionResultType]::ParameterName, 'Name of the collector [default: the profile''s name, else the host''s]')
            [CompletionResult]::new('--drain-timeout', '--drain-timeout', [CompletionResultType]::ParameterName, 'How long `down` waits for open senders [default: 10s]')
            [CompletionResult]::new('--strip-cr', '--strip-cr', [CompletionResultType]::ParameterName, 'Take the CR of lines that end with CRLF away')
            [CompletionResult]::new('--nul', '--nul', [CompletionResultType]::ParameterName, 'NUL ends a line instead of LF; LF is written for it')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Stay in the foreground; Ctrl-C drains and stops')
            [CompletionResult]::new('--foreground', '--foreground', [CompletionResultType]::ParameterName, 'Stay in the foreground; Ctrl-C drains and stops')
            [CompletionResult]::new('--keep-trying', '--keep-trying', [CompletionResultType]::ParameterName, 'Try again when the first connection fails, instead of giving up')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'One JSON object a line on stdout for every step')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;down' {
            [CompletionResult]::new('--all', '--all', [CompletionResultType]::ParameterName, 'Stop all of them')
            [CompletionResult]::new('--now', '--now', [CompletionResultType]::ParameterName, 'Do not wait for open senders')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'One JSON object a collector on stdout')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;status' {
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'The snapshot as JSON')
            [CompletionResult]::new('--watch', '--watch', [CompletionResultType]::ParameterName, 'Draw it again every second, until Ctrl-C')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;health' {
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'One JSON object on stdout')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;metrics' {
            [CompletionResult]::new('--textfile', '--textfile', [CompletionResultType]::ParameterName, 'Write them to this file, for the textfile collector of the node exporter')
            [CompletionResult]::new('--openmetrics', '--openmetrics', [CompletionResultType]::ParameterName, 'In the format OpenMetrics instead of the older one')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;tail' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Show the last N records')
            [CompletionResult]::new('--lines', '--lines', [CompletionResultType]::ParameterName, 'Show the last N records')
            [CompletionResult]::new('-e', '-e', [CompletionResultType]::ParameterName, 'Show only records that match; applied before -n counts')
            [CompletionResult]::new('--regexp', '--regexp', [CompletionResultType]::ParameterName, 'Show only records that match; applied before -n counts')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Go on with what arrives')
            [CompletionResult]::new('--follow', '--follow', [CompletionResultType]::ParameterName, 'Go on with what arrives')
            [CompletionResult]::new('--raw', '--raw', [CompletionResultType]::ParameterName, 'The bytes as they are, not escaped')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;web' {
            [CompletionResult]::new('--listen', '--listen', [CompletionResultType]::ParameterName, 'An address with or without a port, or `unix:/path`; where others get to, users log in by TLS [default: 127.0.0.1:8866]')
            [CompletionResult]::new('--host', '--host', [CompletionResultType]::ParameterName, 'A name under which browsers reach it, beside its address and `localhost`; may be repeated')
            [CompletionResult]::new('--base-path', '--base-path', [CompletionResultType]::ParameterName, 'What a proxy puts before every path, such as `/logs`')
            [CompletionResult]::new('--trust-proxy', '--trust-proxy', [CompletionResultType]::ParameterName, 'A proxy that says by X-Forwarded-For, -Host and -Proto who asks: a network, or `unix`; may be repeated')
            [CompletionResult]::new('--tls-cert', '--tls-cert', [CompletionResultType]::ParameterName, 'The certificate, in PEM with those that it needs behind it [default: a self-made one where others get to]')
            [CompletionResult]::new('--tls-key', '--tls-key', [CompletionResultType]::ParameterName, 'Its key, in PEM without a passphrase')
            [CompletionResult]::new('--open', '--open', [CompletionResultType]::ParameterName, 'Open the link in the browser of this desktop')
            [CompletionResult]::new('--no-token', '--no-token', [CompletionResultType]::ParameterName, 'Ask for no token; only on a Unix socket')
            [CompletionResult]::new('--stopped', '--stopped', [CompletionResultType]::ParameterName, 'Show collectors that do not run, and their history, too')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('user', 'user', [CompletionResultType]::ParameterValue, 'Who may log in')
            break
        }
        'reclog;web;user' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('add', 'add', [CompletionResultType]::ParameterValue, 'Let somebody in, or change the password and streams of a user; the password comes from the terminal or standard input')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'Who may log in, and what they see')
            [CompletionResult]::new('rm', 'rm', [CompletionResultType]::ParameterValue, 'Let somebody in no longer; what is open ends at once')
            break
        }
        'reclog;web;user;add' {
            [CompletionResult]::new('--stream', '--stream', [CompletionResultType]::ParameterName, 'COLLECTOR or COLLECTOR/STREAM that may be seen; may be repeated [default: all]')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;web;user;list' {
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'One JSON array on stdout')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;web;user;rm' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;audit' {
            [CompletionResult]::new('-n', '-n', [CompletionResultType]::ParameterName, 'Show the last N events [default: all; with --follow 10, or all since --since]')
            [CompletionResult]::new('--lines', '--lines', [CompletionResultType]::ParameterName, 'Show the last N events [default: all; with --follow 10, or all since --since]')
            [CompletionResult]::new('--since', '--since', [CompletionResultType]::ParameterName, 'Show only what happened since then: 14:30, 2026-11-21, today, yesterday, 2h (ago), or RFC 3339')
            [CompletionResult]::new('--event', '--event', [CompletionResultType]::ParameterName, 'Show only these events; repeatable, or several with commas between')
            [CompletionResult]::new('--web', '--web', [CompletionResultType]::ParameterName, 'Who logged in to `reclog web` and looked at what; with NAME at those streams')
            [CompletionResult]::new('-f', '-f', [CompletionResultType]::ParameterName, 'Go on with what happens')
            [CompletionResult]::new('--follow', '--follow', [CompletionResultType]::ParameterName, 'Go on with what happens')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'The lines as they stand in the trail')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;kick' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;rotate' {
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'One JSON object on stdout')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;restart' {
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'Every step as one JSON object on stdout')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;doctor' {
            [CompletionResult]::new('--remote-port', '--remote-port', [CompletionResultType]::ParameterName, 'Port to open meanwhile; 0 lets the jump host choose [default: 0, or those of the profile]')
            [CompletionResult]::new('--bind', '--bind', [CompletionResultType]::ParameterName, 'Address to bind on the jump host [default: * (all interfaces)]')
            [CompletionResult]::new('--out', '--out', [CompletionResultType]::ParameterName, 'Output whose folder is examined; the file itself is left alone')
            [CompletionResult]::new('-i', '-i', [CompletionResultType]::ParameterName, 'Private key file; repeatable')
            [CompletionResult]::new('--identity', '--identity', [CompletionResultType]::ParameterName, 'Private key file; repeatable')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Port of the SSH server')
            [CompletionResult]::new('--port', '--port', [CompletionResultType]::ParameterName, 'Port of the SSH server')
            [CompletionResult]::new('-F', '-F ', [CompletionResultType]::ParameterName, 'Configuration file to read instead of the user''s and the system''s ssh_config')
            [CompletionResult]::new('--ssh-config', '--ssh-config', [CompletionResultType]::ParameterName, 'Configuration file to read instead of the user''s and the system''s ssh_config')
            [CompletionResult]::new('-J', '-J ', [CompletionResultType]::ParameterName, 'Go through these hosts, in order: [user@]host[:port]; several with commas between, or repeated')
            [CompletionResult]::new('--jump', '--jump', [CompletionResultType]::ParameterName, 'Go through these hosts, in order: [user@]host[:port]; several with commas between, or repeated')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Keyword of ssh_config, as ssh takes it; repeatable')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'One JSON object a step on stdout')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;how' {
            [CompletionResult]::new('--sender', '--sender', [CompletionResultType]::ParameterName, 'The program that sends [default: bash, for a Unix socket python]')
            [CompletionResult]::new('--udp', '--udp', [CompletionResultType]::ParameterName, 'By datagrams, where the stream takes both TCP and UDP')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;send' {
            [CompletionResult]::new('--spool', '--spool', [CompletionResultType]::ParameterName, 'Folder of what is not acknowledged [default: one a target in the state folder]')
            [CompletionResult]::new('--spool-size', '--spool-size', [CompletionResultType]::ParameterName, 'What may lie in the spool; then standard input waits [default: 1GiB]')
            [CompletionResult]::new('--ack-timeout', '--ack-timeout', [CompletionResultType]::ParameterName, 'How long an acknowledgement may take before another connection is tried [default: 90s]')
            [CompletionResult]::new('--follow', '--follow', [CompletionResultType]::ParameterName, 'Send what is appended to a file, over renames and truncation; repeatable [default: standard input]')
            [CompletionResult]::new('--framing', '--framing', [CompletionResultType]::ParameterName, 'How lines are set apart [default: lines, with --ack relp]')
            [CompletionResult]::new('--keyword-file', '--keyword-file', [CompletionResultType]::ParameterName, 'File with the one line that is said first on each connection; - asks for it [default: RECLOG_KEYWORD, else none]')
            [CompletionResult]::new('--ack', '--ack', [CompletionResultType]::ParameterName, 'Want each line acknowledged (RELP), and send again what is not')
            [CompletionResult]::new('--keep-trying', '--keep-trying', [CompletionResultType]::ParameterName, 'Wait for a first connection that cannot be made')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;harden' {
            [CompletionResult]::new('--remote-port', '--remote-port', [CompletionResultType]::ParameterName, 'Port that the key is for; 0 is any [default: those of the profile]')
            [CompletionResult]::new('--bind', '--bind', [CompletionResultType]::ParameterName, 'Address to bind on the jump host [default: * (all interfaces)]')
            [CompletionResult]::new('-i', '-i', [CompletionResultType]::ParameterName, 'Private key file; repeatable')
            [CompletionResult]::new('--identity', '--identity', [CompletionResultType]::ParameterName, 'Private key file; repeatable')
            [CompletionResult]::new('-p', '-p', [CompletionResultType]::ParameterName, 'Port of the SSH server')
            [CompletionResult]::new('--port', '--port', [CompletionResultType]::ParameterName, 'Port of the SSH server')
            [CompletionResult]::new('-F', '-F ', [CompletionResultType]::ParameterName, 'Configuration file to read instead of the user''s and the system''s ssh_config')
            [CompletionResult]::new('--ssh-config', '--ssh-config', [CompletionResultType]::ParameterName, 'Configuration file to read instead of the user''s and the system''s ssh_config')
            [CompletionResult]::new('-J', '-J ', [CompletionResultType]::ParameterName, 'Go through these hosts, in order: [user@]host[:port]; several with commas between, or repeated')
            [CompletionResult]::new('--jump', '--jump', [CompletionResultType]::ParameterName, 'Go through these hosts, in order: [user@]host[:port]; several with commas between, or repeated')
            [CompletionResult]::new('-o', '-o', [CompletionResultType]::ParameterName, 'Keyword of ssh_config, as ssh takes it; repeatable')
            [CompletionResult]::new('--check', '--check', [CompletionResultType]::ParameterName, 'Log in with this key alone and try everything else; 1 when something is open')
            [CompletionResult]::new('--json', '--json', [CompletionResultType]::ParameterName, 'JSON on stdout')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;profile' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('list', 'list', [CompletionResultType]::ParameterValue, 'Names of the saved profiles')
            [CompletionResult]::new('show', 'show', [CompletionResultType]::ParameterValue, 'Print a profile as it is written')
            [CompletionResult]::new('init', 'init', [CompletionResultType]::ParameterValue, 'Write a commented profile to start from')
            [CompletionResult]::new('check', 'check', [CompletionResultType]::ParameterValue, 'Check a profile and say what it means')
            [CompletionResult]::new('edit', 'edit', [CompletionResultType]::ParameterValue, 'Open a profile in $VISUAL or $EDITOR, then check it')
            [CompletionResult]::new('path', 'path', [CompletionResultType]::ParameterValue, 'Print where a profile lies')
            [CompletionResult]::new('rm', 'rm', [CompletionResultType]::ParameterValue, 'Delete a profile')
            [CompletionResult]::new('schema', 'schema', [CompletionResultType]::ParameterValue, 'Print the JSON Schema of profiles, for editors')
            break
        }
        'reclog;profile;list' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;profile;show' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;profile;init' {
            [CompletionResult]::new('--force', '--force', [CompletionResultType]::ParameterName, 'Replace a profile of that name')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;profile;check' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;profile;edit' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;profile;path' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;profile;rm' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;profile;schema' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;service' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('install', 'install', [CompletionResultType]::ParameterValue, 'Write a unit for a profile, enable it, start it and wait until the collector is up')
            [CompletionResult]::new('uninstall', 'uninstall', [CompletionResultType]::ParameterValue, 'Drain and stop the service of a profile, and remove its unit')
            [CompletionResult]::new('status', 'status', [CompletionResultType]::ParameterValue, 'How the service of a profile is')
            [CompletionResult]::new('print', 'print', [CompletionResultType]::ParameterValue, 'Print the unit and install nothing')
            break
        }
        'reclog;service;install' {
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'With --system: the account that it runs as, whose profile is read [default: who called sudo]')
            [CompletionResult]::new('--system', '--system', [CompletionResultType]::ParameterName, 'A service of the machine instead of one of yours; needs root')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;service;uninstall' {
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'With --system: the account that it runs as, whose profile is read [default: who called sudo]')
            [CompletionResult]::new('--system', '--system', [CompletionResultType]::ParameterName, 'A service of the machine instead of one of yours; needs root')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;service;status' {
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'With --system: the account that it runs as, whose profile is read [default: who called sudo]')
            [CompletionResult]::new('--system', '--system', [CompletionResultType]::ParameterName, 'A service of the machine instead of one of yours; needs root')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;service;print' {
            [CompletionResult]::new('--kind', '--kind', [CompletionResultType]::ParameterName, 'For which service manager')
            [CompletionResult]::new('--user', '--user', [CompletionResultType]::ParameterName, 'With --system: the account that it runs as, whose profile is read [default: who called sudo]')
            [CompletionResult]::new('--system', '--system', [CompletionResultType]::ParameterName, 'A service of the machine instead of one of yours; needs root')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help (see more with ''--help'')')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;completions' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;man' {
            [CompletionResult]::new('--dir', '--dir', [CompletionResultType]::ParameterName, 'Write all pages below DIR, as man(1) looks for them: man1/reclog.1')
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
        'reclog;demo' {
            [CompletionResult]::new('-q', '-q', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('--quiet', '--quiet', [CompletionResultType]::ParameterName, 'Say less: no progress, no hints on success')
            [CompletionResult]::new('-v', '-v', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('--verbose', '--verbose', [CompletionResultType]::ParameterName, 'Say more; twice: everything')
            [CompletionResult]::new('-h', '-h', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('--help', '--help', [CompletionResultType]::ParameterName, 'Print help')
            [CompletionResult]::new('-V', '-V ', [CompletionResultType]::ParameterName, 'Print version')
            [CompletionResult]::new('--version', '--version', [CompletionResultType]::ParameterName, 'Print version')
            break
        }
    })

    $completions.Where{ $_.CompletionText -like "$wordToComplete*" } |
        Sort-Object -Property ListItemText
}
