# The relay of reclog, for perl 5.16 or newer and what comes with its smallest package. It lives in memory: program and
# orders come by stdin, and with the end of stdin, of its parent, or of whoever reads its stdout it ends. It does what
# helper.py beside it does; see mod.rs.
use strict;
use Config;
use Errno qw(EAGAIN EWOULDBLOCK EINTR EINPROGRESS ECONNREFUSED EADDRINUSE EACCES EADDRNOTAVAIL EAFNOSUPPORT EPROTONOSUPPORT EMFILE ENFILE
    ENOBUFS ENOMEM);
use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK);
use IO::Handle;
use Socket qw(:DEFAULT :addrinfo inet_ntop inet_pton pack_sockaddr_in6 unpack_sockaddr_in6 sockaddr_family AF_INET6
    IPPROTO_TCP IPPROTO_IPV6 IPV6_V6ONLY TCP_NODELAY SHUT_WR);

# Bytes read from a sender at once.
use constant BLOCK => 1 << 17;
# Bytes of senders that wait in memory for sshd, all together, before each gets small pieces only: 4,096 senders with a
# whole block each would be half a gigabyte.
use constant HELD => 16 << 20;
use constant SMALL => 1 << 12;
# Turns of one sender before others have theirs.
use constant TURNS => 8;
# Senders taken in at once, and connections under way to sshd before no more are: its queue has 128 places.
use constant ACCEPTS => 32;
use constant UNDERWAY => 64;
# On loopback a connection is made at once or, when that queue is full, a second later. So one that is not made after this
# time is thrown away for another one, in seconds; after twice the time for the next, up to the last.
use constant SOON => 0.03;
use constant LATE => 0.25;
# Datagrams read at once, and bytes of them that wait for stdout. What does not fit is dropped and counted.
use constant DATAGRAMS => 256;
use constant QUEUE => 4 << 20;
# The receive buffer of a UDP socket, in bytes; the system may give less.
use constant UDP_BUFFER => 8 << 20;
use constant BACKLOG => 1024;
# A sender whose other side has ended is given so many seconds to end, too.
use constant FAREWELL => 10;
# Datagrams that came before the end are told of for so many seconds; others may never cease.
use constant LAST => 2;
# What the other end says before its own end when it does not let a sender in; the secret follows.
use constant REFUSAL => "\x15";
use constant IN => IO::Poll::POLLIN();
use constant OUT => IO::Poll::POLLOUT();
use constant BAD => IO::Poll::POLLERR() | IO::Poll::POLLHUP() | IO::Poll::POLLNVAL();

my ($secret, $going, $listening, $held, $underway, $out, $orders) = ('', 0, 1, 0, 0, '', '');
my (%mask, %who, @cached, @streams, @opening, @ending, @dialing, $spare);
my $dirty = 1;

# Whoever waits for nothing is left out: an error would be told of for ever.
sub want {
    my ($fd, $mask, $who) = @_;
    return if ($mask{$fd} || 0) == $mask;
    $dirty = 1;
    if ($mask) { $mask{$fd} = $mask; $who{$fd} = $who; }
    else { delete $mask{$fd}; delete $who{$fd}; }
}

sub turn {
    my ($seconds) = @_;
    if ($dirty) { @cached = %mask; $dirty = 0; }
    # The events take the place of what was asked for.
    my @events = @cached;
    return if IO::Poll::_poll($seconds * 1000, @events) <= 0;
    while (my ($fd, $got) = splice @events, 0, 2) {
        next unless $got;
        my $who = $who{$fd} or next;
        $who->($got);
    }
}

# Seconds from some moment on, in steps of a hundredth; in whole ones where that is not to be had.
my $ticks = eval { require POSIX; (POSIX::times())[0] };
sub clock { defined $ticks ? (POSIX::times())[0] / 100 : time }

sub again { $! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR }

sub unblock {
    my ($handle) = @_;
    fcntl($handle, F_SETFL, fcntl($handle, F_GETFL, 0) | O_NONBLOCK);
}

sub say_frame { $out .= pack('a1N', $_[0], length $_[1]) . $_[1]; }
sub reply { say_frame('L', $_[0]); }

sub write_out {
    while (length $out) {
        my $n = syswrite(STDOUT, $out, 65536);
        if (!defined $n) { last if again(); exit 0; }
        substr($out, 0, $n, '');
    }
    want(1, length $out ? OUT : 0, \&write_out);
}

# A sender (a) and its connection to sshd (b).
sub pair {
    my ($a, $b, $target, $line) = @_;
    # When the connection to sshd is given up for another one, and what came of a refusal; undefined: none came.
    my $p = {
        a => $a, b => $b, fa => fileno $a, fb => fileno $b, target => $target, up => $line, at => 0, down => '',
        a_end => 0, b_end => 0, b_shut => 0, connected => 0, gone => 0, due => 0, patience => SOON, answer => '',
    };
    $p->{sender} = sub { sender($p, $_[0]) };
    $p->{server} = sub { server($p, $_[0]) };
    $underway++;
    $held += length $line;
    push @dialing, $p;
    dial($p);
}

# A socket for a connection to sshd.
sub outward {
    socket(my $b, AF_INET, SOCK_STREAM, 0) or return;
    unblock($b);
    setsockopt($b, IPPROTO_TCP, TCP_NODELAY, pack 'i', 1);
    return $b;
}

sub dial {
    my ($p) = @_;
    $p->{due} = clock() + $p->{patience};
    if (!$p->{b}) {
        $p->{b} = outward() or return;
        $p->{fb} = fileno $p->{b};
    }
    return wants($p) if connect($p->{b}, pack_sockaddr_in($p->{target}, INADDR_LOOPBACK)) || $! == EINPROGRESS;
    # There is no forward any more.
    return reset_pair($p) if $! == ECONNREFUSED;
    hang_up($p);
}

sub hang_up {
    my ($p) = @_;
    return unless $p->{b};
    want($p->{fb}, 0);
    close $p->{b};
    $p->{b} = undef;
}

sub dial_again {
    my ($p) = @_;
    $p->{patience} = 2 * $p->{patience} < LATE ? 2 * $p->{patience} : LATE;
    hang_up($p);
    dial($p);
}

# What the sender sent is not stored, and it hears so.
sub reset_pair {
    my ($p) = @_;
    return if $p->{gone};
    setsockopt($p->{a}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0);
    close_pair($p);
}

sub close_pair {
    my ($p) = @_;
    return if $p->{gone};
    $p->{gone} = 1;
    $held -= length($p->{up}) - $p->{at} + length $p->{down};
    $underway-- unless $p->{connected};
    want($p->{fa}, 0);
    close $p->{a};
    hang_up($p);
    # They hold the pair themselves.
    delete @$p{qw(sender server up down)};
    listen_on() if $underway < UNDERWAY;
}

sub wants {
    my ($p) = @_;
    return if $p->{gone};
    my $busy = length $p->{up};
    if ($p->{a_end} && !$busy && !$p->{b_shut}) {
        $p->{b_shut} = 1;
        shutdown $p->{b}, SHUT_WR;
    }
    return close_pair($p) if $p->{a_end} && $p->{b_end} && !$busy && !length $p->{down};
    my $a = $busy || $p->{a_end} || !$p->{connected} ? 0 : IN;
    my $b = length $p->{down} || $p->{b_end} ? 0 : IN;
    want($p->{fa}, $a | (length $p->{down} ? OUT : 0), $p->{sender});
    want($p->{fb}, $b | ($busy || !$p->{connected} ? OUT : 0), $p->{server});
}

sub sender {
    my ($p, $events) = @_;
    flush_down($p) if $events & (OUT | BAD) && length $p->{down};
    read_up($p) if $events & (IN | BAD) && !$p->{gone} && !length $p->{up} && !$p->{a_end};
    wants($p);
}

sub server {
    my ($p, $events) = @_;
    if (!$p->{connected}) {
        return reset_pair($p) if unpack 'i', getsockopt($p->{b}, SOL_SOCKET, SO_ERROR);
        return unless $events & OUT;
        $p->{connected} = 1;
        $underway--;
        listen_on() if $underway == UNDERWAY - 1;
        greet($p);
        return wants($p);
    }
    flush_up($p) if $events & (OUT | BAD) && length $p->{up};
    read_down($p) if $events & (IN | BAD) && !$p->{gone} && !length $p->{down} && !$p->{b_end};
    wants($p);
}

# The first line, together with what the sender has sent by now: one packet where one is enough.
sub greet {
    my ($p) = @_;
    my $n = sysread($p->{a}, $p->{up}, SMALL, length $p->{up});
    if (defined $n) { $held += $n; $p->{a_end} = $n == 0; }
    else { $p->{a_end} = !again(); }
    flush_up($p);
}

sub flush_up {
    my ($p) = @_;
    my $n = syswrite($p->{b}, $p->{up}, length($p->{up}) - $p->{at}, $p->{at});
    if (!defined $n) { close_pair($p) unless again(); return; }
    $held -= $n;
    $p->{at} += $n;
    if ($p->{at} == length $p->{up}) { $p->{up} = ''; $p->{at} = 0; }
}

sub read_up {
    my ($p) = @_;
    for (1 .. TURNS) {
        my $size = $held < HELD ? BLOCK : SMALL;
        my $n = sysread($p->{a}, $p->{up}, $size);
        if (!$n) {
            $p->{up} = '';
            $p->{a_end} = 1 if defined $n || !again();
            return;
        }
        $held += $n;
        flush_up($p);
        return if $p->{gone} || length $p->{up} || $n < $size;
    }
}

sub read_down {
    my ($p) = @_;
    my $n = sysread($p->{b}, $p->{down}, SMALL);
    if (!defined $n) {
        $p->{down} = '';
        close_pair($p) unless again();
        return;
    }
    if ($n == 0) {
        # Nobody reads what the sender sends now, or will soon: it is told, and then let go.
        $p->{b_end} = 1;
        shutdown $p->{a}, SHUT_WR;
        push @ending, [time + FAREWELL, $p] unless $p->{a_end};
        return;
    }
    if (defined $p->{answer}) {
        $p->{answer} .= $p->{down};
        $p->{down} = '';
        my $refusal = REFUSAL . "$secret\n";
        return reset_pair($p) if $p->{answer} eq $refusal;
        return if index($refusal, $p->{answer}) == 0;
        ($p->{down}, $p->{answer}) = ($p->{answer}, undef);
        $n = length $p->{down};
    }
    $held += $n;
    flush_down($p);
}

sub flush_down {
    my ($p) = @_;
    my $n = syswrite($p->{a}, $p->{down});
    if (!defined $n) {
        return if again();
        # It reads nothing any more; what it sent is still of use.
        $n = length $p->{down};
    }
    $held -= $n;
    substr($p->{down}, 0, $n, '');
}

sub code {
    my ($e) = @_;
    return 'EADDRINUSE' if $e == EADDRINUSE;
    return 'EACCES' if $e == EACCES;
    return 'EADDRNOTAVAIL' if $e == EADDRNOTAVAIL;
    return 'EAFNOSUPPORT' if $e == EAFNOSUPPORT;
    return "E$e";
}

sub failure {
    my ($family, $tcp) = @_;
    my ($number, $words) = ($! + 0, "$!");
    return [$number, join ' ', code($number), $family, $tcp ? 'tcp' : 'udp', $words];
}

# A port that was asked for.
sub stream {
    my ($number, $kind, $bind, $port, $target, $patience) = @_;
    # Of a port that the system chooses for one family, another may have the same for the other: the next one will do.
    my $wait = $patience > 0 ? $patience : $port ? 0 : 1;
    my %kinds = (tcp => [1], udp => [0], both => [1, 0]);
    return {
        number => $number, bind => $bind, port => $port, target => $target, deadline => time + $wait, kinds => $kinds{$kind},
        tcp => [], udp => [], drops => {}, lost => 0, open => 0,
    };
}

sub addresses {
    my ($bind) = @_;
    return ([AF_INET, '0.0.0.0'], [AF_INET6, '::']) if $bind eq '*';
    my ($error, @found) = getaddrinfo($bind, '0', { flags => AI_PASSIVE, socktype => SOCK_STREAM });
    die [0, "ENAME - - $error"] if $error;
    my (%seen, @all);
    for my $it (@found) {
        my $six = $it->{family} == AF_INET6;
        my (undef, $ip) = $six ? unpack_sockaddr_in6($it->{addr}) : unpack_sockaddr_in($it->{addr});
        my $text = inet_ntop($it->{family}, $ip);
        push @all, [$it->{family}, $text, $it->{addr}] unless $seen{$text}++;
    }
    return @all;
}

# One socket; dies with what went wrong.
sub one {
    my ($family, $address, $given, $port, $tcp) = @_;
    my $six = $family == AF_INET6;
    my $name = $six ? 'v6' : 'v4';
    socket(my $s, $family, $tcp ? SOCK_STREAM : SOCK_DGRAM, 0) or die failure($name, $tcp);
    unblock($s);
    setsockopt($s, IPPROTO_IPV6, IPV6_V6ONLY, pack 'i', 1) if $six;
    # Not for datagrams: there the system would let two have the port.
    if ($tcp) { setsockopt($s, SOL_SOCKET, SO_REUSEADDR, pack 'i', 1); }
    else { setsockopt($s, SOL_SOCKET, SO_RCVBUF, pack 'i', UDP_BUFFER); }
    my $scope = $given && $six ? (unpack_sockaddr_in6($given))[2] : 0;
    my $ip = inet_pton($family, $address);
    my $place = $six ? pack_sockaddr_in6($port, $ip, $scope) : pack_sockaddr_in($port, $ip);
    bind($s, $place) or die failure($name, $tcp);
    if ($tcp) { listen($s, BACKLOG) or die failure($name, $tcp); }
    return $s;
}

sub port_of {
    my ($address) = @_;
    return (sockaddr_family($address) == AF_INET6 ? unpack_sockaddr_in6($address) : unpack_sockaddr_in($address))[0];
}

# Every family and kind, or none; what a family lacks is told.
sub attempt {
    my ($stream) = @_;
    my ($port, @sockets, @missing) = ($stream->{port});
    for my $it (addresses($stream->{bind})) {
        my ($family, $address, $given) = @$it;
        for my $tcp (@{ $stream->{kinds} }) {
            my $s = eval { one($family, $address, $given, $port, $tcp) };
            if (!$s) {
                my ($number, $words) = @{ $@ };
                my $absent = $number == EAFNOSUPPORT || $number == EADDRNOTAVAIL || $number == EPROTONOSUPPORT;
                die [$number, $words] unless $stream->{bind} eq '*' && $absent;
                push @missing, $family == AF_INET6 ? 'v6' : 'v4';
                last;
            }
            push @sockets, [$tcp, $s];
            $port = port_of(getsockname $s);
        }
    }
    die [0, 'EAFNOSUPPORT - - no address family'] unless @sockets;
    @$stream{qw(port open)} = ($port, 1);
    $stream->{tcp} = [map { $_->[1] } grep { $_->[0] } @sockets];
    $stream->{udp} = [map { $_->[1] } grep { !$_->[0] } @sockets];
    return @missing;
}

sub go {
    my ($stream) = @_;
    for my $s (@{ $stream->{tcp} }) { want(fileno $s, $listening ? IN : 0, sub { take($stream, $s) }); }
    for my $s (@{ $stream->{udp} }) { want(fileno $s, IN, sub { datagrams($stream, $s) }); }
}

sub shut_all {
    for my $s (@_) {
        want(fileno $s, 0);
        close $s;
    }
}

sub shut_tcp {
    my ($stream) = @_;
    shut_all(@{ $stream->{tcp} });
    $stream->{tcp} = [];
}

sub shut_udp {
    my ($stream, $deadline) = @_;
    # What came before this is still to be told of.
    for my $s (@{ $stream->{udp} }) { 1 while datagrams($stream, $s) && clock() < $deadline; }
    count($stream, udp_table()) if @{ $stream->{udp} };
    shut_all(@{ $stream->{udp} });
    @$stream{qw(udp open)} = ([], 0);
}

sub take {
    my ($stream, $listener) = @_;
    for (1 .. ACCEPTS) {
        return listen_off() if $underway >= UNDERWAY;
        # First: a sender that was taken cannot be put back.
        $spare ||= outward();
        my $peer = $spare && accept(my $a, $listener);
        if (!$peer) {
            # Until the next tick.
            listen_off() if $! == EMFILE || $! == ENFILE || $! == ENOBUFS || $! == ENOMEM;
            return;
        }
        my $b = $spare;
        $spare = undef;
        meet($stream, $a, $b, $peer);
    }
}

sub meet {
    my ($stream, $a, $b, $peer) = @_;
    unblock($a);
    setsockopt($a, SOL_SOCKET, SO_KEEPALIVE, pack 'i', 1);
    # Without it it is gone already.
    my $here = getsockname $a or return;
    my $six = sockaddr_family($peer) == AF_INET6;
    my ($port, $ip) = $six ? unpack_sockaddr_in6($peer) : unpack_sockaddr_in($peer);
    my ($own_port, $own_ip) = $six ? unpack_sockaddr_in6($here) : unpack_sockaddr_in($here);
    my $family = $six ? AF_INET6 : AF_INET;
    my @words = ($six ? 'TCP6' : 'TCP4', inet_ntop($family, $ip), inet_ntop($family, $own_ip), $port, $own_port);
    pair($a, $b, $stream->{target}, "PROXY @words $secret\r\n");
}

sub datagrams {
    my ($stream, $s) = @_;
    my $more = 1;
    for (1 .. DATAGRAMS) {
        my $peer = recv($s, my $data, 65536, 0);
        if (!defined $peer) { $more = 0; last; }
        if (length($out) + length($data) + 32 > QUEUE) { $stream->{lost}++; next; }
        my $six = sockaddr_family($peer) == AF_INET6;
        my ($port, $ip) = $six ? unpack_sockaddr_in6($peer) : unpack_sockaddr_in($peer);
        say_frame('D', pack('nCn', $stream->{number}, $six ? 6 : 4, $port) . $ip . $data);
    }
    write_out();
    return $more;
}

# What the system dropped before it could be read.
sub count {
    my ($stream, $table) = @_;
    for my $s (@{ $stream->{udp} }) {
        my $inode = (stat $s)[1];
        my $drops = $table->{$inode};
        next unless defined $drops;
        my $more = $drops - ($stream->{drops}{$inode} || 0);
        $stream->{lost} += $more if $more > 0;
        $stream->{drops}{$inode} = $drops;
    }
    return unless $stream->{lost} && length($out) < QUEUE;
    say_frame('X', pack 'nNN', $stream->{number}, $stream->{lost} >> 32, $stream->{lost} & 0xffffffff);
    $stream->{lost} = 0;
    write_out();
}

sub udp_table {
    my %table;
    for my $name ('/proc/net/udp', '/proc/net/udp6') {
        open my $file, '<', $name or next;
        while (<$file>) {
            my @words = split;
            $table{ $words[9] } = $words[-1] if @words > 12 && $words[-1] =~ /^\d+$/;
        }
    }
    return \%table;
}

sub listen_off {
    $listening = 0;
    for my $stream (@streams) { want(fileno $_, 0) for @{ $stream->{tcp} }; }
}

sub listen_on {
    return unless $going && !$listening;
    $listening = 1;
    for my $stream (@streams) { go($stream) if $stream->{open}; }
}

# False: it is to be tried again.
sub try_to_open {
    my ($stream) = @_;
    my @missing = eval { attempt($stream) };
    if (my $failed = $@) {
        $failed = [0, "EPERL - - $failed"] unless ref $failed;
        return 0 if $failed->[0] == EADDRINUSE && time < $stream->{deadline};
        @streams = grep { $_ != $stream } @streams;
        my $words = $failed->[1];
        $words =~ s/\n/ /g;
        reply("failed $stream->{number} $words");
        return 1;
    }
    reply("opened $stream->{number} $stream->{port} " . (join(',', @missing) || '-'));
    go($stream) if $going;
    return 1;
}

sub slurp {
    my ($name) = @_;
    open my $file, '<', $name or return '';
    my $text = <$file>;
    return defined $text ? $text : '';
}

sub start_of {
    my ($pid) = @_;
    my ($rest) = slurp("/proc/$pid/stat") =~ /.*\) (.*)/s or return '';
    return (split ' ', $rest)[19];
}

sub boot {
    my ($boot) = split ' ', slurp('/proc/sys/kernel/random/boot_id');
    return defined $boot ? $boot : '';
}

sub obey {
    my ($order, @words) = split ' ', $_[0];
    return unless defined $order;
    if ($order eq 'secret') { $secret = $words[0]; }
    elsif ($order eq 'end') {
        # A relay of a connection that was lost: that very process or none.
        my ($pid, $start, $of_boot) = @words;
        kill 'KILL', $pid if $pid =~ /^\d+$/ && $of_boot eq boot() && $start eq start_of($pid);
    }
    elsif ($order eq 'open') {
        my $stream = stream(@words);
        push @streams, $stream;
        push @opening, $stream unless try_to_open($stream);
    }
    elsif ($order eq 'go') {
        $going = 1;
        for my $stream (@streams) { go($stream) if $stream->{open}; }
    }
    elsif ($order eq 'shut') {
        $going = 0;
        @opening = ();
        shut_tcp($_) for @streams;
        my $deadline = clock() + LAST;
        shut_udp($_, $deadline) for @streams;
        @streams = ();
        reply('shut');
    }
    elsif ($order eq 'ping') { reply("pong $words[0]"); }
}

sub read_orders {
    my $n = sysread(STDIN, $orders, 65536, length $orders);
    if (!$n) {
        return if !defined $n && again();
        exit 0;
    }
    while ($orders =~ s/^([^\n]*)\n//) { obey($1); }
    write_out();
}

$SIG{PIPE} = 'IGNORE';
binmode STDIN;
binmode STDOUT;
unblock(*STDIN);
unblock(*STDOUT);
my $parent = getppid;
# It dies with its parent, also when it has been stopped: prctl(PR_SET_PDEATHSIG, SIGKILL), by its number.
my %prctl = ('x86_64' => 157, 'aarch64' => 167, 'riscv64' => 167, 'i686' => 172, 'i386' => 172, 'arm' => 172, 's390x' => 172);
my ($machine, $system) = $Config{archname} =~ /^([^-]+)-(\w+)/;
eval { syscall($prctl{$machine}, 1, 9, 0, 0, 0) } if $system && $system eq 'linux' && $prctl{$machine};
my $start = start_of($$);
reply('ready ' . (length $start ? "$$ $start " . boot() : '- - -'));
want(0, IN, \&read_orders);
write_out();
my $ticked = 0;
while (1) {
    turn($underway ? SOON : @opening ? 0.05 : 0.5);
    if (@dialing) {
        @dialing = grep { !$_->{connected} && !$_->{gone} } @dialing;
        my $moment = clock();
        for my $p (@dialing) { dial_again($p) if $p->{due} <= $moment; }
    }
    if (@opening) {
        @opening = grep { !try_to_open($_) } @opening;
        write_out();
    }
    my $now = time;
    exit 0 if getppid != $parent;
    while (@ending && $ending[0][0] <= $now) { close_pair((shift @ending)->[1]); }
    next if $now == $ticked;
    $ticked = $now;
    if (grep { @{ $_->{udp} } } @streams) {
        my $table = udp_table();
        count($_, $table) for @streams;
    }
    listen_on() if $underway < UNDERWAY;
}
