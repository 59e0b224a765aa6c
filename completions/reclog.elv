
use builtin;
use str;

set edit:completion:arg-completer[reclog] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'reclog'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'reclog'= {
            cand -q 'Say less: no progress, no hints on success'
            cand --quiet 'Say less: no progress, no hints on success'
            cand -v 'Say more; twice: everything'
            cand --verbose 'Say more; twice: everything'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand up 'Open the port on the jump host and collect what is sent there'
            cand listen 'Collect on a port of this machine, without SSH'
            cand down 'Drain, cancel the forward, flush, fsync, stop'
            cand status 'What runs, what arrived, what is wrong'
            cand tail 'Show records as they arrive, safe for a terminal'
            cand kick 'Reconnect now'
            cand how 'Print a ready-to-paste sender line'
            cand profile 'Saved profiles'
            cand completions 'Print the completion script of a shell'
            cand demo 'The whole path on this machine, with an embedded jump host'
        }
        &'reclog;up'= {
            cand --remote-port 'Port to open on the jump host; 0 lets the jump host choose'
            cand --bind 'Address to bind on the jump host [default: * (all interfaces)]'
            cand -i 'Private key file; repeatable'
            cand --identity 'Private key file; repeatable'
            cand -p 'Port of the SSH server'
            cand --port 'Port of the SSH server'
            cand -F 'Configuration file to read instead of the user''s and the system''s ssh_config'
            cand --ssh-config 'Configuration file to read instead of the user''s and the system''s ssh_config'
            cand -J 'Go through these hosts, in order: [user@]host[:port]; several with commas between, or repeated'
            cand --jump 'Go through these hosts, in order: [user@]host[:port]; several with commas between, or repeated'
            cand -o 'Keyword of ssh_config, as ssh takes it; repeatable'
            cand --out 'File to append to'
            cand --framing 'How bytes become records [default: lines]'
            cand --max-line 'Longest record, line end included; longer ones are split [default: 256KiB]'
            cand --max-connections 'Senders that may be connected at once [default: 4096]'
            cand --sync 'When to force written bytes to the disk [default: interval (every second)]'
            cand --min-free 'Free space of the disk that is left alone; senders wait below it; 0: off [default: 64MiB]'
            cand --rotate-size 'Put the file away at this size and begin a new one'
            cand --rotate-every 'Put it away at these times: hourly, daily, or a time of day such as 03:30'
            cand --rotate-total 'Bytes of all files put away; the oldest go [default: no limit]'
            cand --rotate-age 'Delete files put away when they are older, such as 30d [default: no limit]'
            cand --keep 'Keep so many files put away [default: all]'
            cand --compress 'Compress files put away [default: none]'
            cand --name 'Name of the collector [default: the profile''s name, else the host''s]'
            cand --drain-timeout 'How long `down` waits for open senders [default: 10s]'
            cand --save 'Save target and options as profile NAME, then start it'
            cand -f 'Stay in the foreground; Ctrl-C drains and stops'
            cand --foreground 'Stay in the foreground; Ctrl-C drains and stops'
            cand --keep-trying 'Try again when the first connection fails, instead of giving up'
            cand --json 'One JSON object a line on stdout for every step'
            cand --force 'With --save: replace a profile of that name'
            cand -q 'Say less: no progress, no hints on success'
            cand --quiet 'Say less: no progress, no hints on success'
            cand -v 'Say more; twice: everything'
            cand --verbose 'Say more; twice: everything'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'reclog;listen'= {
            cand --out 'File to append to'
            cand --framing 'How bytes become records [default: lines]'
            cand --max-line 'Longest record, line end included; longer ones are split [default: 256KiB]'
            cand --max-connections 'Senders that may be connected at once [default: 4096]'
            cand --sync 'When to force written bytes to the disk [default: interval (every second)]'
            cand --min-free 'Free space of the disk that is left alone; senders wait below it; 0: off [default: 64MiB]'
            cand --rotate-size 'Put the file away at this size and begin a new one'
            cand --rotate-every 'Put it away at these times: hourly, daily, or a time of day such as 03:30'
            cand --rotate-total 'Bytes of all files put away; the oldest go [default: no limit]'
            cand --rotate-age 'Delete files put away when they are older, such as 30d [default: no limit]'
            cand --keep 'Keep so many files put away [default: all]'
            cand --compress 'Compress files put away [default: none]'
            cand --name 'Name of the collector [default: the profile''s name, else the host''s]'
            cand --drain-timeout 'How long `down` waits for open senders [default: 10s]'
            cand -f 'Stay in the foreground; Ctrl-C drains and stops'
            cand --foreground 'Stay in the foreground; Ctrl-C drains and stops'
            cand --keep-trying 'Try again when the first connection fails, instead of giving up'
            cand --json 'One JSON object a line on stdout for every step'
            cand -q 'Say less: no progress, no hints on success'
            cand --quiet 'Say less: no progress, no hints on success'
            cand -v 'Say more; twice: everything'
            cand --verbose 'Say more; twice: everything'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'reclog;down'= {
            cand --all 'Stop all of them'
            cand --now 'Do not wait for open senders'
            cand --json 'One JSON object a collector on stdout'
            cand -q 'Say less: no progress, no hints on success'
            cand --quiet 'Say less: no progress, no hints on success'
            cand -v 'Say more; twice: everything'
            cand --verbose 'Say more; twice: everything'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'reclog;status'= {
            cand --json 'The snapshot as JSON'
            cand --watch 'Draw it again every second, until Ctrl-C'
            cand -q 'Say less: no progress, no hints on success'
            cand --quiet 'Say less: no progress, no hints on success'
            cand -v 'Say more; twice: everything'
            cand --verbose 'Say more; twice: everything'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'reclog;tail'= {
            cand -n 'Show the last N records'
            cand --lines 'Show the last N records'
            cand -e 'Show only records that match; applied before -n counts'
            cand --regexp 'Show only records that match; applied before -n counts'
            cand -f 'Go on with what arrives'
            cand --follow 'Go on with what arrives'
            cand --raw 'The bytes as they are, not escaped'
            cand -q 'Say less: no progress, no hints on success'
            cand --quiet 'Say less: no progress, no hints on success'
            cand -v 'Say more; twice: everything'
            cand --verbose 'Say more; twice: everything'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'reclog;kick'= {
            cand -q 'Say less: no progress, no hints on success'
            cand --quiet 'Say less: no progress, no hints on success'
            cand -v 'Say more; twice: everything'
            cand --verbose 'Say more; twice: everything'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'reclog;how'= {
            cand --sender 'The program that sends'
            cand -q 'Say less: no progress, no hints on success'
            cand --quiet 'Say less: no progress, no hints on success'
            cand -v 'Say more; twice: everything'
            cand --verbose 'Say more; twice: everything'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'reclog;profile'= {
            cand -q 'Say less: no progress, no hints on success'
            cand --quiet 'Say less: no progress, no hints on success'
            cand -v 'Say more; twice: everything'
            cand --verbose 'Say more; twice: everything'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand list 'Names of the saved profiles'
            cand show 'Print a profile as it is written'
            cand init 'Write a commented profile to start from'
            cand check 'Check a profile and say what it means'
            cand edit 'Open a profile in $VISUAL or $EDITOR, then check it'
            cand path 'Print where a profile lies'
            cand rm 'Delete a profile'
        }
        &'reclog;profile;list'= {
            cand -q 'Say less: no progress, no hints on success'
            cand --quiet 'Say less: no progress, no hints on success'
            cand -v 'Say more; twice: everything'
            cand --verbose 'Say more; twice: everything'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'reclog;profile;show'= {
            cand -q 'Say less: no progress, no hints on success'
            cand --quiet 'Say less: no progress, no hints on success'
            cand -v 'Say more; twice: everything'
            cand --verbose 'Say more; twice: everything'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'reclog;profile;init'= {
            cand --force 'Replace a profile of that name'
            cand -q 'Say less: no progress, no hints on success'
            cand --quiet 'Say less: no progress, no hints on success'
            cand -v 'Say more; twice: everything'
            cand --verbose 'Say more; twice: everything'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'reclog;profile;check'= {
            cand -q 'Say less: no progress, no hints on success'
            cand --quiet 'Say less: no progress, no hints on success'
            cand -v 'Say more; twice: everything'
            cand --verbose 'Say more; twice: everything'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'reclog;profile;edit'= {
            cand -q 'Say less: no progress, no hints on success'
            cand --quiet 'Say less: no progress, no hints on success'
            cand -v 'Say more; twice: everything'
            cand --verbose 'Say more; twice: everything'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'reclog;profile;path'= {
            cand -q 'Say less: no progress, no hints on success'
            cand --quiet 'Say less: no progress, no hints on success'
            cand -v 'Say more; twice: everything'
            cand --verbose 'Say more; twice: everything'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'reclog;profile;rm'= {
            cand -q 'Say less: no progress, no hints on success'
            cand --quiet 'Say less: no progress, no hints on success'
            cand -v 'Say more; twice: everything'
            cand --verbose 'Say more; twice: everything'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'reclog;completions'= {
            cand -q 'Say less: no progress, no hints on success'
            cand --quiet 'Say less: no progress, no hints on success'
            cand -v 'Say more; twice: everything'
            cand --verbose 'Say more; twice: everything'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'reclog;demo'= {
            cand -q 'Say less: no progress, no hints on success'
            cand --quiet 'Say less: no progress, no hints on success'
            cand -v 'Say more; twice: everything'
            cand --verbose 'Say more; twice: everything'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
    ]
    $completions[$command]
}
