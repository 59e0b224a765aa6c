# The relay of reclog, for Python 3.6 or newer and its standard library alone. It lives in memory: program and orders come
# by stdin, and with the end of stdin, of its parent, or of whoever reads its stdout it ends. See mod.rs beside it.
import errno
import os
import select
import signal
import socket
import struct
import sys
import time

# Bytes read from a sender at once.
BLOCK = 1 << 16
# Bytes of senders that wait in memory for sshd, all together, before each gets small pieces only: 4,096 senders with a
# whole block each would be a quarter of a gigabyte.
HELD = 16 << 20
SMALL = 1 << 12
# A pipe for splice(2), in bytes, and how many of them may be full at once; senders beyond that are copied.
PIPE = 1 << 18
PIPES = 32
# Turns of one sender before others have theirs.
TURNS = 8
# Senders taken in at once, and connections under way to sshd before no more are: its queue has 128 places.
ACCEPTS = 32
UNDERWAY = 64
# On loopback a connection is made at once or, when that queue is full, a second later. So one that is not made after this
# time is thrown away for another one, in seconds; after twice the time for the next, up to the last.
SOON, LATE = 0.03, 0.25
# Datagrams read at once, and bytes of them that wait for stdout. What does not fit is dropped and counted.
DATAGRAMS = 256
QUEUE = 4 << 20
# The receive buffer of a UDP socket, in bytes; the system may give less.
UDP_BUFFER = 8 << 20
BACKLOG = 1024
# A sender whose other side has ended is given so many seconds to end, too.
FAREWELL = 10
# Datagrams that came before the end are told of for so many seconds; others may never cease.
LAST = 2
# What the other end says before its own end when it does not let a sender in; the secret follows.
REFUSAL = b"\x15"
RESET = struct.pack("ii", 1, 0)
IN, OUT, BAD = select.POLLIN, select.POLLOUT, select.POLLERR | select.POLLHUP | select.POLLNVAL
AGAIN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)
ABSENT = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)
LOOPBACK = "127.0.0.1"


class Loop:
    """Who waits for what. Whoever waits for nothing is left out: an error would be told of for ever."""

    def __init__(self):
        self.fast = hasattr(select, "epoll")
        self.poller = select.epoll() if self.fast else select.poll()
        self.masks = {}
        self.who = {}

    def want(self, fd, mask, who):
        old = self.masks.get(fd, 0)
        if mask == old:
            return
        if not mask:
            self.forget(fd)
            return
        if old:
            self.poller.modify(fd, mask)
        else:
            self.poller.register(fd, mask)
        self.masks[fd] = mask
        self.who[fd] = who

    def forget(self, fd):
        if self.masks.pop(fd, 0):
            self.poller.unregister(fd)
            del self.who[fd]

    def turn(self, seconds):
        for fd, events in self.poller.poll(seconds if self.fast else int(seconds * 1000)):
            who = self.who.get(fd)
            if who is not None:
                who(fd, events)


loop = Loop()
secret = b""
going = False
held = 0
underway = 0
streams = []
ending = []
dialing = []
spare = None
pipes = []
pipes_used = 0
splicing = hasattr(os, "splice")
block = memoryview(bytearray(BLOCK))
out = bytearray()


def say(kind, body):
    out.extend(struct.pack("!cI", kind, len(body)))
    out.extend(body)


def reply(text):
    say(b"L", text.encode("utf-8", "replace"))


def write_out(*_):
    while out:
        try:
            with memoryview(out)[:BLOCK] as view:
                n = os.write(1, view)
        except OSError as e:
            if e.errno in AGAIN:
                break
            os._exit(0)
        del out[:n]
    loop.want(1, OUT if out else 0, write_out)


def take_pipe():
    global pipes_used, splicing
    if not splicing or pipes_used >= PIPES:
        return None
    if pipes:
        pipe = pipes.pop()
    else:
        try:
            pipe = os.pipe()
            os.set_blocking(pipe[0], False)
            os.set_blocking(pipe[1], False)
        except OSError:
            return None
        try:
            import fcntl
            fcntl.fcntl(pipe[1], 1031, PIPE)  # F_SETPIPE_SZ
        except Exception:
            pass
    pipes_used += 1
    return pipe


def give_pipe(pipe, clean):
    global pipes_used
    pipes_used -= 1
    if clean:
        pipes.append(pipe)
    else:
        os.close(pipe[0])
        os.close(pipe[1])


class Pair:
    """A sender (a) and its connection to sshd (b)."""

    __slots__ = (
        "a", "b", "fa", "fb", "port", "up", "down", "pipe", "piped", "a_end", "b_end", "b_shut", "connected", "gone", "due",
        "patience", "answer",
    )

    def __init__(self, a, b, port, line):
        global underway, held
        self.a, self.b, self.fa, self.fb, self.port = a, b, a.fileno(), b.fileno(), port
        # When the connection to sshd is given up for another one.
        self.due, self.patience = 0, SOON
        # What came of a refusal; None: none came.
        self.answer = b""
        # What is on its way to sshd, and back.
        self.up, self.down = line, b""
        self.pipe, self.piped = None, 0
        self.a_end = self.b_end = self.b_shut = self.connected = self.gone = False
        underway += 1
        held += len(line)
        dialing.append(self)
        self.dial()

    def dial(self):
        self.due = time.monotonic() + self.patience
        try:
            if self.b is None:
                self.b = outward()
                self.fb = self.b.fileno()
            e = self.b.connect_ex((LOOPBACK, self.port))
            if e in (0, errno.EINPROGRESS):
                self.wants()
                return
            if e == errno.ECONNREFUSED:
                # There is no forward any more.
                self.reset()
                return
        except OSError:
            pass
        self.hang_up()

    def hang_up(self):
        if self.b is not None:
            loop.forget(self.fb)
            self.b.close()
            self.b = None

    def again(self):
        self.patience = min(2 * self.patience, LATE)
        self.hang_up()
        self.dial()

    def reset(self):
        """What the sender sent is not stored, and it hears so."""
        if not self.gone:
            try:
                self.a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            except OSError:
                pass
            self.close()

    def close(self):
        global held, underway
        if self.gone:
            return
        self.gone = True
        held -= len(self.up) + len(self.down)
        if not self.connected:
            underway -= 1
        if self.pipe:
            give_pipe(self.pipe, not self.piped)
        loop.forget(self.fa)
        self.a.close()
        self.hang_up()
        if underway < UNDERWAY:
            listen_on()

    def wants(self):
        if self.gone:
            return
        busy = self.up or self.piped
        if self.a_end and not busy and not self.b_shut:
            self.b_shut = True
            try:
                self.b.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        if self.a_end and self.b_end and not busy and not self.down:
            self.close()
            return
        a = 0 if busy or self.a_end or not self.connected else IN
        b = 0 if self.down or self.b_end else IN
        loop.want(self.fa, a | (OUT if self.down else 0), self.sender)
        loop.want(self.fb, b | (OUT if busy or not self.connected else 0), self.server)

    def sender(self, fd, events):
        if events & (OUT | BAD) and self.down:
            self.flush_down()
        if events & (IN | BAD) and not self.gone and not self.up and not self.piped and not self.a_end:
            self.read_up()
        self.wants()

    def server(self, fd, events):
        global underway
        if not self.connected:
            e = self.b.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if e:
                self.reset()
                return
            if not events & OUT:
                return
            self.connected = True
            underway -= 1
            if underway == UNDERWAY - 1:
                listen_on()
            self.greet()
            self.wants()
            return
        if events & (OUT | BAD) and (self.up or self.piped):
            self.flush_up()
        if events & (IN | BAD) and not self.gone and not self.down and not self.b_end:
            self.read_down()
        self.wants()

    def greet(self):
        """The first line, together with what the sender has sent by now: one packet where one is enough."""
        global held
        first = b""
        try:
            first = self.a.recv(SMALL)
            self.a_end = not first
        except OSError as e:
            self.a_end = e.errno not in AGAIN
        held += len(first)
        self.up += first
        self.flush_up()

    def flush_up(self):
        global held
        try:
            if self.up:
                n = self.b.send(self.up)
                held -= n
                self.up = self.up[n:]
            elif self.piped:
                self.piped -= os.splice(self.pipe[0], self.fb, self.piped, flags=3)
                if not self.piped:
                    give_pipe(self.pipe, True)
                    self.pipe = None
        except OSError as e:
            if e.errno not in AGAIN:
                self.close()

    def read_up(self):
        global held, splicing
        for _ in range(TURNS):
            if self.pipe is None:
                self.pipe = take_pipe()
            if self.pipe is not None:
                try:
                    n = os.splice(self.fa, self.pipe[1], PIPE, flags=3)
                except OSError as e:
                    give_pipe(self.pipe, True)
                    self.pipe = None
                    if e.errno in (errno.EINVAL, errno.ENOSYS, errno.EPERM):
                        splicing = False
                        continue
                    self.a_end = e.errno not in AGAIN
                    return
                if n == 0:
                    give_pipe(self.pipe, True)
                    self.pipe = None
                    self.a_end = True
                    return
                self.piped = n
                self.flush_up()
                if self.gone or self.piped:
                    return
                if n < SMALL:
                    return
                continue
            size = BLOCK if held < HELD else SMALL
            try:
                n = self.a.recv_into(block, size)
            except OSError as e:
                self.a_end = e.errno not in AGAIN
                return
            if n == 0:
                self.a_end = True
                return
            try:
                sent = self.b.send(block[:n])
            except OSError as e:
                if e.errno not in AGAIN:
                    self.close()
                    return
                sent = 0
            if sent < n:
                self.up = bytes(block[sent:n])
                held += n - sent
                return
            if n < size:
                return

    def read_down(self):
        try:
            data = self.b.recv(SMALL)
        except OSError as e:
            if e.errno not in AGAIN:
                self.close()
            return
        if not data:
            # Nobody reads what the sender sends now, or will soon: it is told, and then let go.
            self.b_end = True
            try:
                self.a.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            if not self.a_end:
                ending.append((time.monotonic() + FAREWELL, self))
            return
        if self.answer is not None:
            self.answer += data
            refusal = REFUSAL + secret + b"\n"
            if self.answer == refusal:
                self.reset()
                return
            if refusal.startswith(self.answer):
                return
            data, self.answer = self.answer, None
        self.keep_down(data)
        self.flush_down()

    def keep_down(self, data):
        global held
        self.down += data
        held += len(data)

    def flush_down(self):
        global held
        try:
            n = self.a.send(self.down)
        except OSError as e:
            if e.errno not in AGAIN:
                # It reads nothing any more; what it sent is still of use.
                held -= len(self.down)
                self.down = b""
            return
        held -= n
        self.down = self.down[n:]


def outward():
    """A socket for a connection to sshd."""
    b = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    b.setblocking(False)
    b.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return b


class Failed(Exception):
    pass


def code(e):
    return errno.errorcode.get(e.errno, "E%s" % e.errno)


class Stream:
    """A port that was asked for."""

    def __init__(self, words):
        number, kind, self.bind, port, target, patience = words
        self.number, self.port, self.target = int(number), int(port), int(target)
        self.kinds = {"tcp": [1], "udp": [0], "both": [1, 0]}[kind]
        # Of a port that the system chooses for one family, another may have the same for the other: the next one will do.
        self.deadline = time.monotonic() + max(float(patience), 0 if self.port else 1)
        self.tcp, self.udp, self.drops = [], [], {}
        self.lost = 0
        self.open = False

    def addresses(self):
        if self.bind == "*":
            return [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]
        try:
            found = socket.getaddrinfo(self.bind, None, 0, socket.SOCK_STREAM, 0, socket.AI_PASSIVE)
        except OSError as e:
            raise Failed("ENAME - - %s" % e)
        seen = []
        for family, _, _, _, address in found:
            if (family, address[0]) not in seen:
                seen.append((family, address[0]))
        return seen

    def attempt(self):
        """Every family and kind, or none; what a family lacks is told."""
        port, sockets, missing = self.port, [], []
        try:
            for family, address in self.addresses():
                name = "v6" if family == socket.AF_INET6 else "v4"
                try:
                    for tcp in self.kinds:
                        s = self.one(family, address, port, tcp)
                        sockets.append((tcp, s))
                        port = s.getsockname()[1]
                except OSError as e:
                    if self.bind != "*" or e.errno not in ABSENT:
                        raise Failed("%s %s %s %s" % (code(e), name, "tcp" if tcp else "udp", e.strerror))
                    missing.append(name)
            if not sockets:
                raise Failed("EAFNOSUPPORT - - no address family")
        except BaseException:
            for _, s in sockets:
                s.close()
            raise
        self.port, self.open = port, True
        self.tcp = [s for tcp, s in sockets if tcp]
        self.udp = [s for tcp, s in sockets if not tcp]
        return missing

    def one(self, family, address, port, tcp):
        s = socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        try:
            s.setblocking(False)
            if family == socket.AF_INET6:
                s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if tcp:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            else:
                # Not for datagrams: there the system would let two have the port.
                try:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER)
                except OSError:
                    pass
            s.bind((address, port))
            if tcp:
                s.listen(BACKLOG)
            return s
        except BaseException:
            s.close()
            raise

    def go(self):
        for s in self.tcp:
            loop.want(s.fileno(), IN if listening else 0, self.accept(s))
        for s in self.udp:
            loop.want(s.fileno(), IN, self.datagrams(s))

    def shut_tcp(self):
        for s in self.tcp:
            loop.forget(s.fileno())
            s.close()
        self.tcp = []

    def shut_udp(self, deadline):
        for s in self.udp:
            # What came before this is still to be told of.
            while self.datagrams(s)(s.fileno(), IN) and time.monotonic() < deadline:
                pass
        if self.udp:
            self.count(udp_table())
        for s in self.udp:
            loop.forget(s.fileno())
            s.close()
        self.udp, self.open = [], False

    def accept(self, listener):
        def take(fd, events):
            global spare
            for _ in range(ACCEPTS):
                if underway >= UNDERWAY:
                    listen_off()
                    return
                try:
                    # First: a sender that was taken cannot be put back.
                    spare = spare or outward()
                    a, peer = listener.accept()
                except OSError as e:
                    if e.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                        # Until the next tick.
                        listen_off()
                    return
                b, spare = spare, None
                try:
                    self.meet(a, b, peer)
                except OSError:
                    # It is gone already.
                    a.close()
                    b.close()
        return take

    def meet(self, a, b, peer):
        a.setblocking(False)
        a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        here = a.getsockname()
        six = a.family == socket.AF_INET6
        line = "PROXY TCP%d %s %s %d %d " % (6 if six else 4, peer[0].split("%")[0], here[0].split("%")[0], peer[1], here[1])
        Pair(a, b, self.target, line.encode() + secret + b"\r\n")

    def datagrams(self, s):
        head = struct.Struct("!HBH")
        six = s.family == socket.AF_INET6

        def take(fd, events):
            more = True
            for _ in range(DATAGRAMS):
                try:
                    data, peer = s.recvfrom(65536)
                except OSError:
                    more = False
                    break
                if len(out) + len(data) + 32 > QUEUE:
                    self.lost += 1
                    continue
                address = socket.inet_pton(s.family, peer[0].split("%")[0])
                say(b"D", head.pack(self.number, 6 if six else 4, peer[1]) + address + data)
            write_out()
            return more
        return take

    def count(self, table):
        """What the system dropped before it could be read."""
        for s in self.udp:
            inode = str(os.fstat(s.fileno()).st_ino)
            drops = table.get(inode)
            if drops is not None:
                self.lost += max(0, drops - self.drops.get(inode, 0))
                self.drops[inode] = drops
        if self.lost and len(out) < QUEUE:
            say(b"X", struct.pack("!HQ", self.number, self.lost))
            self.lost = 0
            write_out()


def udp_table():
    table = {}
    for name in ("/proc/net/udp", "/proc/net/udp6"):
        try:
            with open(name) as f:
                for row in f:
                    words = row.split()
                    if words[-1].isdigit() and len(words) > 12:
                        table[words[9]] = int(words[-1])
        except (OSError, ValueError):
            pass
    return table


listening = True


def listen_off():
    global listening
    listening = False
    for stream in streams:
        for s in stream.tcp:
            loop.forget(s.fileno())


def listen_on():
    global listening
    if going and not listening:
        listening = True
        for stream in streams:
            if stream.open:
                stream.go()


def try_to_open(stream):
    try:
        missing = stream.attempt()
    except Failed as e:
        if e.args[0].startswith("EADDRINUSE") and time.monotonic() < stream.deadline:
            return False
        streams.remove(stream)
        reply("failed %d %s" % (stream.number, e.args[0]))
        return True
    reply("opened %d %d %s" % (stream.number, stream.port, ",".join(missing) or "-"))
    if going:
        stream.go()
    return True


opening = []


def start_of(pid):
    with open("/proc/%d/stat" % pid) as f:
        return f.read().rsplit(")", 1)[1].split()[19]


def boot():
    with open("/proc/sys/kernel/random/boot_id") as f:
        return f.read().strip()


def end_old(pid, start, of_boot):
    """Ends a relay of a connection that was lost: that very process or none."""
    try:
        if of_boot == boot() and start_of(int(pid)) == start:
            os.kill(int(pid), signal.SIGKILL)
    except (OSError, ValueError, IndexError):
        pass


def obey(line):
    global secret, going
    words = line.split()
    if not words:
        return
    if words[0] == "secret":
        secret = words[1].encode()
    elif words[0] == "end":
        end_old(*words[1:4])
    elif words[0] == "open":
        stream = Stream(words[1:7])
        streams.append(stream)
        if not try_to_open(stream):
            opening.append(stream)
    elif words[0] == "go":
        going = True
        for stream in streams:
            if stream.open:
                stream.go()
    elif words[0] == "shut":
        going = False
        del opening[:]
        for stream in streams:
            stream.shut_tcp()
        deadline = time.monotonic() + LAST
        for stream in streams:
            stream.shut_udp(deadline)
        del streams[:]
        reply("shut")
    elif words[0] == "ping":
        reply("pong " + words[1])


orders = b""


def read_orders(fd, events):
    global orders
    try:
        data = os.read(0, BLOCK)
    except OSError as e:
        if e.errno in AGAIN:
            return
        data = b""
    if not data:
        os._exit(0)
    orders += data
    *lines, orders = orders.split(b"\n")
    for line in lines:
        obey(line.decode("utf-8", "replace"))
    write_out()


def die_with_parent():
    """Also when this process has been stopped."""
    try:
        import ctypes
        ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL
    except Exception:
        pass


def run():
    os.set_blocking(0, False)
    os.set_blocking(1, False)
    parent = os.getppid()
    die_with_parent()
    try:
        me = "%d %s %s" % (os.getpid(), start_of(os.getpid()), boot())
    except (OSError, IndexError):
        me = "- - -"
    reply("ready " + me)
    loop.want(0, IN, read_orders)
    write_out()
    ticked = 0.0
    while True:
        loop.turn(SOON if underway else 0.05 if opening else 0.5)
        now = time.monotonic()
        if dialing:
            dialing[:] = [pair for pair in dialing if not pair.connected and not pair.gone]
            for pair in dialing:
                if pair.due <= now:
                    pair.again()
        if opening:
            opening[:] = [stream for stream in opening if not try_to_open(stream)]
            write_out()
        if now - ticked < 0.5:
            continue
        ticked = now
        if os.getppid() != parent:
            os._exit(0)
        while ending and ending[0][0] <= now:
            ending.pop(0)[1].close()
        if any(stream.udp for stream in streams):
            table = udp_table()
            for stream in streams:
                stream.count(table)
        if underway < UNDERWAY:
            listen_on()


run()
