"""An SSH server that lets everybody in, grants every port, and then does to its client what it is told on stdin.

Prints one JSON object a line: first {"port", "key"}, later {"forward": [address, port]} for each port that is asked for,
and what each command brought. It binds no forwarded port: whoever drives it is the sender, too.
"""

import json
import queue
import socket
import sys
import threading
import time

import paramiko
from paramiko.message import Message

OPEN, OPENED, REFUSED, ADJUST, DATA, EXTENDED, EOF, CLOSE, REQUEST, OK, FAILED = range(90, 101)
GLOBAL = 80
IGNORE = 2
DISCONNECT = 1
PATIENCE = 30


talk = threading.Lock()


def say(**what):
    # One thread at a time: print writes the line and its end apart, and half of another's may come between them.
    with talk:
        print(json.dumps(what), flush=True)


class Door(paramiko.ServerInterface):
    def __init__(self, stall, let_in):
        self.stall = stall
        self.let_in = let_in

    def get_allowed_auths(self, username):
        return "publickey"

    def check_auth_publickey(self, username, key):
        if self.stall == "auth":
            time.sleep(3600)
        while self.stall in ("ignore", "banners"):
            # As fast as the client reads, for ever.
            message = Message()
            message.add_byte(bytes([2 if self.stall == "ignore" else 53]))
            message.add_string(b"\x1b[31mwait\n" * 100)
            if self.stall == "banners":
                message.add_string("en")
            self.transport._send_message(message)
        self.let_in()
        return paramiko.AUTH_SUCCESSFUL

    def check_port_forward_request(self, address, port):
        say(forward=[address, port])
        if self.stall == "forward":
            time.sleep(3600)
        return port or 45000

    def check_channel_direct_tcpip_request(self, number, origin, destination):
        if self.stall != "doors":
            return paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        if destination[0] != "127.0.0.1":
            return paramiko.OPEN_FAILED_CONNECT_FAILED
        threading.Thread(target=self.listen, daemon=True).start()
        return paramiko.OPEN_SUCCEEDED

    def listen(self):
        """What is sent to the port that it was asked to connect to."""
        channel = self.transport.accept(PATIENCE)
        line = b""
        while more := channel.recv(1000):
            line += more
        self.nonce = line
        say(asked=line.decode())

    def cancel_port_forward_request(self, address, port):
        say(cancel=[address, port])


class Wild:
    def __init__(self, connection, key, stall, let_in):
        self.heard = queue.Queue()
        self.next = 1000
        self.deaf = False
        # Pings that are not answered before the echo has been sent.
        self.pings = 0 if stall == "doors" else None
        self.quiet = []
        self.transport = paramiko.Transport(connection)
        self.transport.add_server_key(key)
        self.listen_in()
        door = self.door = Door(stall, lambda: let_in(self))
        door.transport = self.transport
        self.transport.start_server(server=door, event=threading.Event())

    def listen_in(self):
        packetizer = self.transport.packetizer
        read = packetizer.read_message

        def read_message():
            while self.deaf:
                time.sleep(1)
            kind, message = read()
            while self.pings is not None and kind == GLOBAL and b"keepalive@openssh.com" in message.asbytes():
                self.pings += 1
                kind, message = read()
            if 90 <= kind <= 100:
                answer = Message(message.asbytes())
                self.heard.put((kind, answer.get_int(), answer))
            return kind, message

        packetizer.read_message = read_message

    def send(self, kind, *fields):
        message = Message()
        message.add_byte(bytes([kind]))
        for field in fields:
            if isinstance(field, bool):
                message.add_boolean(field)
            elif isinstance(field, int):
                message.add_int(field)
            else:
                message.add_string(field)
        self.transport._send_user_message(message)

    def id(self):
        self.next += 1
        # Else the library ends the connection at the first message about a channel that it did not open.
        self.transport.channels_seen[self.next] = True
        return self.next

    def open(self, kind, *fields, window=1 << 20):
        number = self.id()
        self.send(OPEN, kind, number, window, 32768, *fields)
        return number

    def answer(self, number, *kinds):
        end = time.monotonic() + PATIENCE
        while True:
            kind, channel, rest = self.heard.get(timeout=max(0.1, end - time.monotonic()))
            if channel == number and kind in kinds:
                return kind, rest

    def outcome(self, number):
        kind, rest = self.answer(number, OPENED, REFUSED)
        # Where it was opened, the client's own number for it.
        return ("opened" if kind == OPENED else "refused"), rest.get_int()

    # The commands.

    def opens(self, address, port):
        """One of every type, and forwards that are almost the one that was asked for."""
        origin = ("192.0.2.9", 4711)
        tries = {
            "session": ("session",),
            "direct-tcpip": ("direct-tcpip", "127.0.0.1", 22, *origin),
            "direct-streamlocal": ("direct-streamlocal@openssh.com", "/var/run/docker.sock", "", 0),
            "forwarded-streamlocal": ("forwarded-streamlocal@openssh.com", "/tmp/s", ""),
            "agent": ("auth-agent@openssh.com",),
            "x11": ("x11", *origin),
            "tun": ("tun@openssh.com", 1, 0),
            "unknown": ("\x1b[31m@example.org",),
            "another port": ("forwarded-tcpip", address, port + 1, *origin),
            "port 0": ("forwarded-tcpip", address, 0, *origin),
            "port beyond": ("forwarded-tcpip", address, port + 65536, *origin),
            "another address": ("forwarded-tcpip", "example.org", port, *origin),
            "the forward": ("forwarded-tcpip", address, port, *origin),
        }
        say(opens={name: self.outcome(self.open(*fields))[0] for name, fields in tries.items()})

    def sender(self, address, port, origin=("192.0.2.9", 4711)):
        number = self.open("forwarded-tcpip", address, port, *origin)
        return (number, *self.outcome(number))

    def tricks(self, address, port):
        """One honest line, and everything around it that no honest server sends."""
        number, how, theirs = self.sender(address, port)
        self.send(DATA, theirs, b"one ")
        for code in (1, 2, 77):
            self.send(EXTENDED, theirs, code, b"<not the sender's>\n")
        for request, fields in [
            ("exec", ("touch /tmp/pwned",)),
            ("shell", ()),
            ("subsystem", ("sftp",)),
            ("env", ("A", "B")),
            ("no-such@example.org", ()),
        ]:
            self.send(REQUEST, theirs, request, True, *fields)
            kind, _ = self.answer(number, OK, FAILED)
            if kind == OK:
                say(accepted=request)
        self.send(REQUEST, theirs, "exit-status", False, 1)
        self.send(REQUEST, theirs, "exit-signal", False, "TERM", False, "\x1b[31m", "en")
        for _ in range(1000):
            self.send(ADJUST, theirs, 0xFFFFFFFF)
        # About channels that there are not.
        for kind in (EOF, CLOSE, OK, FAILED):
            self.send(kind, 99999)
        self.send(DATA, 99999, b"<nobody's>\n")
        self.send(EXTENDED, 99999, 1, b"<nobody's>\n")
        self.send(ADJUST, 99999, 1)
        self.send(REQUEST, 99999, "exec", True, "id")
        self.send(GLOBAL, "hostkeys-00@openssh.com", False, b"nonsense", b"\x00" * 1000)
        self.send(GLOBAL, "tcpip-forward", True, "", 2222)
        self.send(DATA, theirs, b"two\n")
        self.send(EOF, theirs)
        self.answer(number, EOF)
        self.send(DATA, theirs, b"<after the end>\n")
        self.send(EOF, theirs)
        self.send(CLOSE, theirs)
        self.answer(number, CLOSE)
        self.send(DATA, theirs, b"<after the close>\n")
        self.send(CLOSE, theirs)
        say(tricks=how)

    def fail_open(self, address, port):
        """Opens a channel and then claims that opening it failed."""
        _, how, theirs = self.sender(address, port)
        self.send(DATA, theirs, b"half a line")
        self.send(REFUSED, theirs, 1, "changed my mind", "")
        say(fail_open=how)

    def line(self, address, port, text):
        number, how, theirs = self.sender(address, port)
        if how == "opened":
            self.send(DATA, theirs, text)
            self.send(EOF, theirs)
            self.answer(number, EOF)
            self.send(CLOSE, theirs)
        say(line=how)

    def sends(self, address, port, origin, pieces, end):
        """A sender from `origin` that says this, each piece in a packet of its own."""
        number, how, theirs = self.sender(address, port, (origin, 4711))
        if how == "opened":
            for piece in pieces:
                self.send(DATA, theirs, piece)
            if end:
                self.send(EOF, theirs)
                self.answer(number, EOF)
                self.send(CLOSE, theirs)
            elif pieces:
                self.quiet.append(theirs)
        say(sends=how)

    def go_on(self, text):
        """More of all that were not ended."""
        for theirs in self.quiet:
            self.send(DATA, theirs, text)
        say(go_on="sent")

    def echo(self, address, port):
        """What was sent to the port comes back by the forward."""
        number, how, theirs = self.sender(address, port, ("127.0.0.1", 4712))
        line = self.door.nonce
        self.send(DATA, theirs, line[:20])
        self.send(DATA, theirs, line[20:])
        self.send(EOF, theirs)
        self.answer(number, EOF)
        self.send(CLOSE, theirs)
        pings, self.pings = self.pings or 0, None
        for _ in range(pings):
            self.send(82)
        say(echo=how)

    def far_away(self, address, port, size):
        """A sender whose address has so many bytes, and last words of so many."""
        _, how, _ = self.sender(address, port, ("\x1b" * size, 1))
        self.send(DISCONNECT, 11, "\x1b" * size, "")
        say(far_away=how)

    def flood(self, kind, count, deaf, *fields):
        """Opens without waiting for any answer; deaf: without reading them."""
        self.deaf = deaf
        sent = 0
        try:
            while sent < count and self.transport.is_active():
                self.open(kind, *fields)
                sent += 1
        except Exception:
            pass
        say(flood=sent)

    def half_closed(self, address, port, count):
        """Senders that end and that the server never closes; how many of them were refused."""
        refused = 0
        for _ in range(0, count, 500):
            for number in [self.open("forwarded-tcpip", address, port, "192.0.2.9", 1) for _ in range(500)]:
                how, theirs = self.outcome(number)
                if how == "opened":
                    self.send(EOF, theirs)
                else:
                    refused += 1
        say(half_closed=refused)


def serve(connection, key, stall, let_in):
    try:
        Wild(connection, key, stall, let_in)
    except Exception as error:
        say(error=str(error))


def main():
    stall = sys.argv[1] if len(sys.argv) > 1 else ""
    key = paramiko.ECDSAKey.generate()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(50)
    say(port=listener.getsockname()[1], key=f"{key.get_name()} {key.get_base64()}")
    # Those who have logged in; orders are about the last one. Who only knocks is none of them.
    current = []

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, key, stall, current.append), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        try:
            getattr(current[-1], command)(*arguments)
        except Exception as error:
            say(error=f"{command}: {error!r}")


main()
