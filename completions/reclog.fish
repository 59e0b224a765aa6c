# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_reclog_global_optspecs
    string join \n q/quiet v/verbose h/help V/version
end

function __fish_reclog_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_reclog_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_reclog_using_subcommand
    set -l cmd (__fish_reclog_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c reclog -n "__fish_reclog_needs_command" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_needs_command" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_needs_command" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_needs_command" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "up" -d 'Open the port on the jump host and collect what is sent there'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "listen" -d 'Collect on a port of this machine, without SSH'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "down" -d 'Drain, cancel the forward, flush, fsync, stop'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "status" -d 'What runs, what arrived, what is wrong'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "health" -d 'One sentence a trouble; exit code 0 when there is none'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "metrics" -d 'The figures of the status as Prometheus reads them'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "tail" -d 'Show records as they arrive, safe for a terminal'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "web" -d 'Show all streams in a browser: live, and back to the first line'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "audit" -d 'Who connected, what was refused, cut, stalled, rotated'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "kick" -d 'Reconnect now'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "rotate" -d 'Put the file away now and begin a new one'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "restart" -d 'Down and up in one: the profile read anew, this release, the shortest gap'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "doctor" -d 'Prove, step by step, that senders can get through'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "how" -d 'Print a ready-to-paste sender line'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "send" -d 'Send lines of standard input or of files to a collector'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "harden" -d 'Print, or prove, that the key can do no more than it needs'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "profile" -d 'Saved profiles'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "service" -d 'A profile that runs by itself, looked after by systemd'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "man" -d 'Show a page of the manual, or write all of them'
complete -c reclog -n "__fish_reclog_needs_command" -f -a "demo" -d 'The whole path on this machine, with an embedded jump host'
complete -c reclog -n "__fish_reclog_using_subcommand up" -l remote-port -d 'Port to open on the jump host; 0 lets the jump host choose' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l bind -d 'Address to bind on the jump host [default: * (all interfaces)]' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l probe-every -d 'How often to prove that senders get through [default: 5m]' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -s i -l identity -d 'Private key file; repeatable' -r -F
complete -c reclog -n "__fish_reclog_using_subcommand up" -s p -l port -d 'Port of the SSH server' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -s F -l ssh-config -d 'Configuration file to read instead of the user\'s and the system\'s ssh_config' -r -F
complete -c reclog -n "__fish_reclog_using_subcommand up" -s J -l jump -d 'Go through these hosts, in order: [user@]host[:port]; several with commas between, or repeated' -r -f -a "(__fish_print_hostnames)"
complete -c reclog -n "__fish_reclog_using_subcommand up" -s o -d 'Keyword of ssh_config, as ssh takes it; repeatable' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l out -d 'Where records go: a file to append to, - (with --foreground), exec:COMMAND, syslog+udp://HOST:PORT, syslog+tcp:// or syslog+unix:///PATH; repeatable, the first one is what senders wait for' -r -F
complete -c reclog -n "__fish_reclog_using_subcommand up" -l format -d 'What records look like [default: raw]' -r -f -a "raw\t'As they came'
prefix\t'With text in front'
json\t'One JSON object a line'"
complete -c reclog -n "__fish_reclog_using_subcommand up" -l prefix -d 'Text in front of every record: {n}, {time}, {peer}, {keyword}, {stream}; means --format prefix' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l keyword-file -d 'File with the word that senders have to say first; -: ask for it' -r -F
complete -c reclog -n "__fish_reclog_using_subcommand up" -l allow -d 'Let only these senders in: an address or CIDR; repeatable [default: all]' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l deny -d 'Never let these senders in: an address or CIDR; repeatable' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l framing -d 'How bytes become records [default: lines]' -r -f -a "lines\t'LF ends a record; lines of several senders never mix'
raw\t'Bytes as they come'
syslog\t'Syslog over TCP: octet counting or LF, as each record says itself'
relp\t'RELP: syslog, acknowledged when it is stored'"
complete -c reclog -n "__fish_reclog_using_subcommand up" -l max-line -d 'Longest record, line end included; longer ones are split [default: 256KiB]' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l max-connections -d 'Senders that may be connected at once [default: 4096]' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l max-per-address -d 'Senders of one address that may be connected at once [default: 2048]' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l max-new -d 'New connections a second and address [default: 10000]' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l max-rate -d 'Bytes a second and address, such as 1MB/s; who sends more is closed; 0: no limit [default: 0]' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l max-bytes -d 'Bytes of one connection; who sends more is closed; 0: no limit [default: 0]' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l idle-timeout -d 'Close senders that say nothing for so long; 0: never [default: 0]' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l sync -d 'When to force written bytes to the disk [default: interval (every second)]' -r -f -a "never\t'Only at `down`'
interval\t'Every second while there is something new'
always\t'After every batch'"
complete -c reclog -n "__fish_reclog_using_subcommand up" -l min-free -d 'Free space of the disk that is left alone; senders wait below it; 0: off [default: 64MiB]' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l rotate-size -d 'Put the file away at this size and begin a new one' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l rotate-every -d 'Put it away at these times: hourly, daily, or a time of day such as 03:30' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l rotate-total -d 'Bytes of all files put away; the oldest go [default: no limit]' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l rotate-age -d 'Delete files put away when they are older, such as 30d [default: no limit]' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l keep -d 'Keep so many files put away [default: all]' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l compress -d 'Compress files put away [default: none]' -r -f -a "none\t'As they are'
gzip\t'gzip, .gz'
zstd\t'zstd, .zst'"
complete -c reclog -n "__fish_reclog_using_subcommand up" -l name -d 'Name of the collector [default: the profile\'s name, else the host\'s]' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l drain-timeout -d 'How long `down` waits for open senders [default: 10s]' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l save -d 'Save target and options as profile NAME, then start it' -r
complete -c reclog -n "__fish_reclog_using_subcommand up" -l relay -d 'Open the port with a helper on the jump host (python3 or perl), where sshd binds loopback alone'
complete -c reclog -n "__fish_reclog_using_subcommand up" -l no-probe -d 'Do not prove that senders get through'
complete -c reclog -n "__fish_reclog_using_subcommand up" -l strip-cr -d 'Take the CR of lines that end with CRLF away'
complete -c reclog -n "__fish_reclog_using_subcommand up" -l nul -d 'NUL ends a line instead of LF; LF is written for it'
complete -c reclog -n "__fish_reclog_using_subcommand up" -s f -l foreground -d 'Stay in the foreground; Ctrl-C drains and stops'
complete -c reclog -n "__fish_reclog_using_subcommand up" -l keep-trying -d 'Try again when the first connection fails, instead of giving up'
complete -c reclog -n "__fish_reclog_using_subcommand up" -l json -d 'One JSON object a line on stdout for every step'
complete -c reclog -n "__fish_reclog_using_subcommand up" -l force -d 'With --save: replace a profile of that name'
complete -c reclog -n "__fish_reclog_using_subcommand up" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand up" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand up" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reclog -n "__fish_reclog_using_subcommand up" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l out -d 'Where records go: a file to append to, - (with --foreground), exec:COMMAND, syslog+udp://HOST:PORT, syslog+tcp:// or syslog+unix:///PATH; repeatable, the first one is what senders wait for' -r -F
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l format -d 'What records look like [default: raw]' -r -f -a "raw\t'As they came'
prefix\t'With text in front'
json\t'One JSON object a line'"
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l prefix -d 'Text in front of every record: {n}, {time}, {peer}, {keyword}, {stream}; means --format prefix' -r
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l keyword-file -d 'File with the word that senders have to say first; -: ask for it' -r -F
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l allow -d 'Let only these senders in: an address or CIDR; repeatable [default: all]' -r
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l deny -d 'Never let these senders in: an address or CIDR; repeatable' -r
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l framing -d 'How bytes become records [default: lines]' -r -f -a "lines\t'LF ends a record; lines of several senders never mix'
raw\t'Bytes as they come'
syslog\t'Syslog over TCP: octet counting or LF, as each record says itself'
relp\t'RELP: syslog, acknowledged when it is stored'"
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l max-line -d 'Longest record, line end included; longer ones are split [default: 256KiB]' -r
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l max-connections -d 'Senders that may be connected at once [default: 4096]' -r
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l max-per-address -d 'Senders of one address that may be connected at once [default: 2048]' -r
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l max-new -d 'New connections a second and address [default: 10000]' -r
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l max-rate -d 'Bytes a second and address, such as 1MB/s; who sends more is closed; 0: no limit [default: 0]' -r
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l max-bytes -d 'Bytes of one connection; who sends more is closed; 0: no limit [default: 0]' -r
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l idle-timeout -d 'Close senders that say nothing for so long; 0: never [default: 0]' -r
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l sync -d 'When to force written bytes to the disk [default: interval (every second)]' -r -f -a "never\t'Only at `down`'
interval\t'Every second while there is something new'
always\t'After every batch'"
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l min-free -d 'Free space of the disk that is left alone; senders wait below it; 0: off [default: 64MiB]' -r
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l rotate-size -d 'Put the file away at this size and begin a new one' -r
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l rotate-every -d 'Put it away at these times: hourly, daily, or a time of day such as 03:30' -r
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l rotate-total -d 'Bytes of all files put away; the oldest go [default: no limit]' -r
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l rotate-age -d 'Delete files put away when they are older, such as 30d [default: no limit]' -r
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l keep -d 'Keep so many files put away [default: all]' -r
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l compress -d 'Compress files put away [default: none]' -r -f -a "none\t'As they are'
gzip\t'gzip, .gz'
zstd\t'zstd, .zst'"
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l name -d 'Name of the collector [default: the profile\'s name, else the host\'s]' -r
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l drain-timeout -d 'How long `down` waits for open senders [default: 10s]' -r
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l strip-cr -d 'Take the CR of lines that end with CRLF away'
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l nul -d 'NUL ends a line instead of LF; LF is written for it'
complete -c reclog -n "__fish_reclog_using_subcommand listen" -s f -l foreground -d 'Stay in the foreground; Ctrl-C drains and stops'
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l keep-trying -d 'Try again when the first connection fails, instead of giving up'
complete -c reclog -n "__fish_reclog_using_subcommand listen" -l json -d 'One JSON object a line on stdout for every step'
complete -c reclog -n "__fish_reclog_using_subcommand listen" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand listen" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand listen" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reclog -n "__fish_reclog_using_subcommand listen" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand down" -l all -d 'Stop all of them'
complete -c reclog -n "__fish_reclog_using_subcommand down" -l now -d 'Do not wait for open senders'
complete -c reclog -n "__fish_reclog_using_subcommand down" -l json -d 'One JSON object a collector on stdout'
complete -c reclog -n "__fish_reclog_using_subcommand down" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand down" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand down" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand down" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand status" -l json -d 'The snapshot as JSON'
complete -c reclog -n "__fish_reclog_using_subcommand status" -l watch -d 'Draw it again every second, until Ctrl-C'
complete -c reclog -n "__fish_reclog_using_subcommand status" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand status" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand status" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand status" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand health" -l json -d 'One JSON object on stdout'
complete -c reclog -n "__fish_reclog_using_subcommand health" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand health" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand health" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand health" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand metrics" -l textfile -d 'Write them to this file, for the textfile collector of the node exporter' -r -F
complete -c reclog -n "__fish_reclog_using_subcommand metrics" -l openmetrics -d 'In the format OpenMetrics instead of the older one'
complete -c reclog -n "__fish_reclog_using_subcommand metrics" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand metrics" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand metrics" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand metrics" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand tail" -s n -l lines -d 'Show the last N records' -r
complete -c reclog -n "__fish_reclog_using_subcommand tail" -s e -l regexp -d 'Show only records that match; applied before -n counts' -r
complete -c reclog -n "__fish_reclog_using_subcommand tail" -s f -l follow -d 'Go on with what arrives'
complete -c reclog -n "__fish_reclog_using_subcommand tail" -l raw -d 'The bytes as they are, not escaped'
complete -c reclog -n "__fish_reclog_using_subcommand tail" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand tail" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand tail" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand tail" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand web; and not __fish_seen_subcommand_from user" -l listen -d 'An address with or without a port, or `unix:/path`; where others get to, users log in by TLS [default: 127.0.0.1:8866]' -r
complete -c reclog -n "__fish_reclog_using_subcommand web; and not __fish_seen_subcommand_from user" -l host -d 'A name under which browsers reach it, beside its address and `localhost`; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c reclog -n "__fish_reclog_using_subcommand web; and not __fish_seen_subcommand_from user" -l base-path -d 'What a proxy puts before every path, such as `/logs`' -r
complete -c reclog -n "__fish_reclog_using_subcommand web; and not __fish_seen_subcommand_from user" -l trust-proxy -d 'A proxy that says by X-Forwarded-For, -Host and -Proto who asks: a network, or `unix`; may be repeated' -r
complete -c reclog -n "__fish_reclog_using_subcommand web; and not __fish_seen_subcommand_from user" -l tls-cert -d 'The certificate, in PEM with those that it needs behind it [default: a self-made one where others get to]' -r -F
complete -c reclog -n "__fish_reclog_using_subcommand web; and not __fish_seen_subcommand_from user" -l tls-key -d 'Its key, in PEM without a passphrase' -r -F
complete -c reclog -n "__fish_reclog_using_subcommand web; and not __fish_seen_subcommand_from user" -l open -d 'Open the link in the browser of this desktop'
complete -c reclog -n "__fish_reclog_using_subcommand web; and not __fish_seen_subcommand_from user" -l no-token -d 'Ask for no token; only on a Unix socket'
complete -c reclog -n "__fish_reclog_using_subcommand web; and not __fish_seen_subcommand_from user" -l stopped -d 'Show collectors that do not run, and their history, too'
complete -c reclog -n "__fish_reclog_using_subcommand web; and not __fish_seen_subcommand_from user" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand web; and not __fish_seen_subcommand_from user" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand web; and not __fish_seen_subcommand_from user" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand web; and not __fish_seen_subcommand_from user" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand web; and not __fish_seen_subcommand_from user" -a "user" -d 'Who may log in'
complete -c reclog -n "__fish_reclog_using_subcommand web; and __fish_seen_subcommand_from user" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand web; and __fish_seen_subcommand_from user" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand web; and __fish_seen_subcommand_from user" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand web; and __fish_seen_subcommand_from user" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand web; and __fish_seen_subcommand_from user" -f -a "add" -d 'Let somebody in, or change the password and streams of a user; the password comes from the terminal or standard input'
complete -c reclog -n "__fish_reclog_using_subcommand web; and __fish_seen_subcommand_from user" -f -a "list" -d 'Who may log in, and what they see'
complete -c reclog -n "__fish_reclog_using_subcommand web; and __fish_seen_subcommand_from user" -f -a "rm" -d 'Let somebody in no longer; what is open ends at once'
complete -c reclog -n "__fish_reclog_using_subcommand audit" -s n -l lines -d 'Show the last N events [default: all; with --follow 10, or all since --since]' -r
complete -c reclog -n "__fish_reclog_using_subcommand audit" -l since -d 'Show only what happened since then: 14:30, 2026-11-21, today, yesterday, 2h (ago), or RFC 3339' -r
complete -c reclog -n "__fish_reclog_using_subcommand audit" -l event -d 'Show only these events; repeatable, or several with commas between' -r -f -a "start\t''
stop\t''
connect\t''
cut\t''
reconnect\t''
forward\t''
sender_open\t''
sender_close\t''
reject\t''
stall\t''
resume\t''
rotate\t''
gap\t''
probe\t''
web_start\t''
web_stop\t''
login\t''
login_failed\t''
logout\t''
look\t''
warn\t''"
complete -c reclog -n "__fish_reclog_using_subcommand audit" -l web -d 'Who logged in to `reclog web` and looked at what; with NAME at those streams'
complete -c reclog -n "__fish_reclog_using_subcommand audit" -s f -l follow -d 'Go on with what happens'
complete -c reclog -n "__fish_reclog_using_subcommand audit" -l json -d 'The lines as they stand in the trail'
complete -c reclog -n "__fish_reclog_using_subcommand audit" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand audit" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand audit" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand audit" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand kick" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand kick" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand kick" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand kick" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand rotate" -l json -d 'One JSON object on stdout'
complete -c reclog -n "__fish_reclog_using_subcommand rotate" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand rotate" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand rotate" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand rotate" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand restart" -l json -d 'Every step as one JSON object on stdout'
complete -c reclog -n "__fish_reclog_using_subcommand restart" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand restart" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand restart" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand restart" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand doctor" -l remote-port -d 'Port to open meanwhile; 0 lets the jump host choose [default: 0, or those of the profile]' -r
complete -c reclog -n "__fish_reclog_using_subcommand doctor" -l bind -d 'Address to bind on the jump host [default: * (all interfaces)]' -r
complete -c reclog -n "__fish_reclog_using_subcommand doctor" -l out -d 'Output whose folder is examined; the file itself is left alone' -r -F
complete -c reclog -n "__fish_reclog_using_subcommand doctor" -s i -l identity -d 'Private key file; repeatable' -r -F
complete -c reclog -n "__fish_reclog_using_subcommand doctor" -s p -l port -d 'Port of the SSH server' -r
complete -c reclog -n "__fish_reclog_using_subcommand doctor" -s F -l ssh-config -d 'Configuration file to read instead of the user\'s and the system\'s ssh_config' -r -F
complete -c reclog -n "__fish_reclog_using_subcommand doctor" -s J -l jump -d 'Go through these hosts, in order: [user@]host[:port]; several with commas between, or repeated' -r -f -a "(__fish_print_hostnames)"
complete -c reclog -n "__fish_reclog_using_subcommand doctor" -s o -d 'Keyword of ssh_config, as ssh takes it; repeatable' -r
complete -c reclog -n "__fish_reclog_using_subcommand doctor" -l json -d 'One JSON object a step on stdout'
complete -c reclog -n "__fish_reclog_using_subcommand doctor" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand doctor" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand doctor" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand how" -l sender -d 'The program that sends [default: bash, for a Unix socket python]' -r -f -a "bash\t'bash alone, through /dev/tcp or /dev/udp'
nc\t'netcat'
socat\t'socat'
python\t'Python 3'
logger\t'logger of util-linux'
rsyslog\t'A configuration fragment for rsyslog'"
complete -c reclog -n "__fish_reclog_using_subcommand how" -l udp -d 'By datagrams, where the stream takes both TCP and UDP'
complete -c reclog -n "__fish_reclog_using_subcommand how" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand how" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand how" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reclog -n "__fish_reclog_using_subcommand how" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand send" -l spool -d 'Folder of what is not acknowledged [default: one a target in the state folder]' -r -f -a "(__fish_complete_directories)"
complete -c reclog -n "__fish_reclog_using_subcommand send" -l spool-size -d 'What may lie in the spool; then standard input waits [default: 1GiB]' -r
complete -c reclog -n "__fish_reclog_using_subcommand send" -l ack-timeout -d 'How long an acknowledgement may take before another connection is tried [default: 90s]' -r
complete -c reclog -n "__fish_reclog_using_subcommand send" -l follow -d 'Send what is appended to a file, over renames and truncation; repeatable [default: standard input]' -r -F
complete -c reclog -n "__fish_reclog_using_subcommand send" -l framing -d 'How lines are set apart [default: lines, with --ack relp]' -r -f -a "lines\t'Each line ends with its LF'
syslog\t'Syslog messages with an octet count (RFC 6587), other lines as they are'
relp\t'Acknowledged frames: the same as --ack'"
complete -c reclog -n "__fish_reclog_using_subcommand send" -l keyword-file -d 'File with the one line that is said first on each connection; - asks for it [default: RECLOG_KEYWORD, else none]' -r -F
complete -c reclog -n "__fish_reclog_using_subcommand send" -l ack -d 'Want each line acknowledged (RELP), and send again what is not'
complete -c reclog -n "__fish_reclog_using_subcommand send" -l keep-trying -d 'Wait for a first connection that cannot be made'
complete -c reclog -n "__fish_reclog_using_subcommand send" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand send" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand send" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reclog -n "__fish_reclog_using_subcommand send" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand harden" -l remote-port -d 'Port that the key is for; 0 is any [default: those of the profile]' -r
complete -c reclog -n "__fish_reclog_using_subcommand harden" -l bind -d 'Address to bind on the jump host [default: * (all interfaces)]' -r
complete -c reclog -n "__fish_reclog_using_subcommand harden" -s i -l identity -d 'Private key file; repeatable' -r -F
complete -c reclog -n "__fish_reclog_using_subcommand harden" -s p -l port -d 'Port of the SSH server' -r
complete -c reclog -n "__fish_reclog_using_subcommand harden" -s F -l ssh-config -d 'Configuration file to read instead of the user\'s and the system\'s ssh_config' -r -F
complete -c reclog -n "__fish_reclog_using_subcommand harden" -s J -l jump -d 'Go through these hosts, in order: [user@]host[:port]; several with commas between, or repeated' -r -f -a "(__fish_print_hostnames)"
complete -c reclog -n "__fish_reclog_using_subcommand harden" -s o -d 'Keyword of ssh_config, as ssh takes it; repeatable' -r
complete -c reclog -n "__fish_reclog_using_subcommand harden" -l check -d 'Log in with this key alone and try everything else; 1 when something is open'
complete -c reclog -n "__fish_reclog_using_subcommand harden" -l json -d 'JSON on stdout'
complete -c reclog -n "__fish_reclog_using_subcommand harden" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand harden" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand harden" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand harden" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and not __fish_seen_subcommand_from list show init check edit path rm schema" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and not __fish_seen_subcommand_from list show init check edit path rm schema" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and not __fish_seen_subcommand_from list show init check edit path rm schema" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and not __fish_seen_subcommand_from list show init check edit path rm schema" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and not __fish_seen_subcommand_from list show init check edit path rm schema" -f -a "list" -d 'Names of the saved profiles'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and not __fish_seen_subcommand_from list show init check edit path rm schema" -f -a "show" -d 'Print a profile as it is written'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and not __fish_seen_subcommand_from list show init check edit path rm schema" -f -a "init" -d 'Write a commented profile to start from'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and not __fish_seen_subcommand_from list show init check edit path rm schema" -f -a "check" -d 'Check a profile and say what it means'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and not __fish_seen_subcommand_from list show init check edit path rm schema" -f -a "edit" -d 'Open a profile in $VISUAL or $EDITOR, then check it'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and not __fish_seen_subcommand_from list show init check edit path rm schema" -f -a "path" -d 'Print where a profile lies'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and not __fish_seen_subcommand_from list show init check edit path rm schema" -f -a "rm" -d 'Delete a profile'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and not __fish_seen_subcommand_from list show init check edit path rm schema" -f -a "schema" -d 'Print the JSON Schema of profiles, for editors'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from init" -l force -d 'Replace a profile of that name'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from init" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from init" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from init" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from init" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from edit" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from edit" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from edit" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from edit" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from path" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from path" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from path" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from path" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from rm" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from rm" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from rm" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from schema" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from schema" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from schema" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from schema" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand service; and not __fish_seen_subcommand_from install uninstall status print" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand service; and not __fish_seen_subcommand_from install uninstall status print" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand service; and not __fish_seen_subcommand_from install uninstall status print" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand service; and not __fish_seen_subcommand_from install uninstall status print" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand service; and not __fish_seen_subcommand_from install uninstall status print" -f -a "install" -d 'Write a unit for a profile, enable it, start it and wait until the collector is up'
complete -c reclog -n "__fish_reclog_using_subcommand service; and not __fish_seen_subcommand_from install uninstall status print" -f -a "uninstall" -d 'Drain and stop the service of a profile, and remove its unit'
complete -c reclog -n "__fish_reclog_using_subcommand service; and not __fish_seen_subcommand_from install uninstall status print" -f -a "status" -d 'How the service of a profile is'
complete -c reclog -n "__fish_reclog_using_subcommand service; and not __fish_seen_subcommand_from install uninstall status print" -f -a "print" -d 'Print the unit and install nothing'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from install" -l user -d 'With --system: the account that it runs as, whose profile is read [default: who called sudo]' -r
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from install" -l system -d 'A service of the machine instead of one of yours; needs root'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from install" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from install" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from install" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from install" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from uninstall" -l user -d 'With --system: the account that it runs as, whose profile is read [default: who called sudo]' -r
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from uninstall" -l system -d 'A service of the machine instead of one of yours; needs root'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from uninstall" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from uninstall" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from uninstall" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from uninstall" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from status" -l user -d 'With --system: the account that it runs as, whose profile is read [default: who called sudo]' -r
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from status" -l system -d 'A service of the machine instead of one of yours; needs root'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from status" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from print" -l kind -d 'For which service manager' -r -f -a "systemd\t'A unit'
launchd\t'A property list of macOS'
supervisord\t'A section of supervisord.conf'"
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from print" -l user -d 'With --system: the account that it runs as, whose profile is read [default: who called sudo]' -r
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from print" -l system -d 'A service of the machine instead of one of yours; needs root'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from print" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from print" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from print" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from print" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand completions" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand completions" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand completions" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand completions" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand man" -l dir -d 'Write all pages below DIR, as man(1) looks for them: man1/reclog.1' -r -f -a "(__fish_complete_directories)"
complete -c reclog -n "__fish_reclog_using_subcommand man" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand man" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand man" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand man" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand demo" -s q -l quiet -d 'Say less: no progress, no hints on success'
complete -c reclog -n "__fish_reclog_using_subcommand demo" -s v -l verbose -d 'Say more; twice: everything'
complete -c reclog -n "__fish_reclog_using_subcommand demo" -s h -l help -d 'Print help'
complete -c reclog -n "__fish_reclog_using_subcommand demo" -s V -l version -d 'Print version'
complete -c reclog -n "__fish_reclog_using_subcommand up" -f -a "(reclog __names profiles 2>/dev/null)" -d 'Profile'
complete -c reclog -n "__fish_reclog_using_subcommand doctor" -f -a "(reclog __names profiles 2>/dev/null)" -d 'Profile'
complete -c reclog -n "__fish_reclog_using_subcommand harden" -f -a "(reclog __names profiles 2>/dev/null)" -d 'Profile'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from show" -f -a "(reclog __names profiles 2>/dev/null)" -d 'Profile'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from check" -a "(reclog __names profiles 2>/dev/null)" -d 'Profile'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from edit" -f -a "(reclog __names profiles 2>/dev/null)" -d 'Profile'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from path" -f -a "(reclog __names profiles 2>/dev/null)" -d 'Profile'
complete -c reclog -n "__fish_reclog_using_subcommand profile; and __fish_seen_subcommand_from rm" -f -a "(reclog __names profiles 2>/dev/null)" -d 'Profile'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from install" -f -a "(reclog __names profiles 2>/dev/null)" -d 'Profile'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from uninstall" -f -a "(reclog __names profiles 2>/dev/null)" -d 'Profile'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from status" -f -a "(reclog __names profiles 2>/dev/null)" -d 'Profile'
complete -c reclog -n "__fish_reclog_using_subcommand service; and __fish_seen_subcommand_from print" -f -a "(reclog __names profiles 2>/dev/null)" -d 'Profile'
complete -c reclog -n "__fish_reclog_using_subcommand up" -f -a "(__fish_print_hostnames)" -d 'Host'
complete -c reclog -n "__fish_reclog_using_subcommand doctor" -f -a "(__fish_print_hostnames)" -d 'Host'
complete -c reclog -n "__fish_reclog_using_subcommand harden" -f -a "(__fish_print_hostnames)" -d 'Host'
complete -c reclog -n "__fish_reclog_using_subcommand down" -f -a "(reclog __names collectors 2>/dev/null)" -d 'Collector'
complete -c reclog -n "__fish_reclog_using_subcommand status" -f -a "(reclog __names collectors 2>/dev/null)" -d 'Collector'
complete -c reclog -n "__fish_reclog_using_subcommand health" -f -a "(reclog __names collectors 2>/dev/null)" -d 'Collector'
complete -c reclog -n "__fish_reclog_using_subcommand metrics" -f -a "(reclog __names collectors 2>/dev/null)" -d 'Collector'
complete -c reclog -n "__fish_reclog_using_subcommand tail" -f -a "(reclog __names collectors 2>/dev/null)" -d 'Collector'
complete -c reclog -n "__fish_reclog_using_subcommand web" -f -a "(reclog __names collectors 2>/dev/null)" -d 'Collector'
complete -c reclog -n "__fish_reclog_using_subcommand audit" -f -a "(reclog __names collectors 2>/dev/null)" -d 'Collector'
complete -c reclog -n "__fish_reclog_using_subcommand kick" -f -a "(reclog __names collectors 2>/dev/null)" -d 'Collector'
complete -c reclog -n "__fish_reclog_using_subcommand rotate" -f -a "(reclog __names collectors 2>/dev/null)" -d 'Collector'
complete -c reclog -n "__fish_reclog_using_subcommand restart" -f -a "(reclog __names collectors 2>/dev/null)" -d 'Collector'
complete -c reclog -n "__fish_reclog_using_subcommand how" -f -a "(reclog __names collectors 2>/dev/null)" -d 'Collector'
complete -c reclog -n "__fish_reclog_using_subcommand man" -f -a "(reclog __names pages 2>/dev/null)" -d 'Page'
