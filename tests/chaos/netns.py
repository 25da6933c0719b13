"""Network namespaces: each shard behind a link of its own, whose packets can be lost, held back, delayed
and refused. Needs root. The namespaces have no names: they end with the descriptors and processes that
hold them, so nothing is left behind whatever happens to the harness."""
import ctypes
import fcntl
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import threading

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
# Addresses exist only inside the namespaces made here.
HUB = "10.77.0.1"
OWN_NAMESPACE = "/proc/thread-self/ns/net"
RELAY = pathlib.Path(__file__).resolve().parent / "tun_relay.py"

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _enter(namespace):
    _check(_libc.setns(namespace, CLONE_NEWNET))


def _make_namespace():
    """A descriptor of a new network namespace; the calling thread stays where it is."""
    here = os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.unshare(CLONE_NEWNET))
        try:
            return os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        finally:
            _enter(here)
    finally:
        os.close(here)


def _path(namespace):
    """How another process names the namespace of a descriptor."""
    return f"/proc/{os.getpid()}/fd/{namespace}"


def _run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


def why_unavailable():
    """Why network namespaces cannot be used here; None when they can."""
    for program in ("ip", "iptables", "nsenter"):
        if shutil.which(program) is None:
            return f"no {program} on this machine (scripts/install_deps.sh --tests)"
    try:
        os.close(_make_namespace())
        with Network() as network:
            network.link("probe").loss(0.01)
            network.link("probe").delay(0.01)
    except (OSError, RuntimeError) as error:
        return f"network namespaces are not permitted: {error}"
    return None


class Network:
    """While entered, the calling thread (and the threads and processes it starts) is in a namespace of
    its own, the hub; links lead from there to one more namespace each. Belongs to the thread that
    entered it."""

    def __init__(self):
        self._links = {}
        self._outside = None

    def __enter__(self):
        hub = _make_namespace()
        self._outside = os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        _enter(hub)
        os.close(hub)  # this thread holds it now
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "address", "add", f"{HUB}/32", "dev", "lo")
        return self

    def link(self, name):
        """The link of that name; made when first asked for."""
        if name not in self._links:
            self._links[name] = Link(len(self._links) + 1)
        return self._links[name]

    def __exit__(self, *_):
        for link in self._links.values():
            link.close()
        _enter(self._outside)
        os.close(self._outside)


class Link:
    """A namespace with one address, joined to the hub by a veth pair, and by a pair of tun devices with
    a relay between them while there is a delay. Packets are dropped where they arrive, as a network
    does: a sender whose own firewall drops them would be told."""

    def __init__(self, number):
        self._lock = threading.Lock()
        self._number = number
        self._namespace = _make_namespace()
        self._relay = None
        self._rules = {}
        self.host = f"10.77.{number}.1"
        # What a command is to be preceded by to run at the far end.
        self.prefix = ("nsenter", f"--net={_path(self._namespace)}")
        self._far("ip", "link", "set", "lo", "up")
        self._far("ip", "address", "add", f"{self.host}/32", "dev", "lo")
        _run("ip", "link", "add", self._name("veth"), "type", "veth", "peer", "name",
             self._name("veth"), "netns", _path(self._namespace))
        self._route("veth")

    def _name(self, kind):
        return f"{kind}{self._number}"

    def _far(self, *command):
        _run(*self.prefix, *command)

    def _route(self, kind):
        """Sends the packets of both directions through the devices of that kind."""
        device = self._name(kind)
        _run("ip", "link", "set", device, "up")
        self._far("ip", "link", "set", device, "up")
        _run("ip", "route", "replace", f"{self.host}/32", "dev", device, "src", HUB)
        self._far("ip", "route", "replace", f"{HUB}/32", "dev", device, "src", self.host)

    def _firewall(self, name, target):
        """Puts a rule for what arrives at either end in place of the one of that name; () for none."""
        with self._lock:
            before = self._rules.pop(name, None)
            for action, rule in (("-D", before), ("-A", target)):
                if rule:
                    self._far("iptables", "-w", action, "INPUT", "-s", HUB, *rule)
                    _run("iptables", "-w", action, "INPUT", "-s", self.host, *rule)
            if target:
                self._rules[name] = target

    def loss(self, share):
        """A random share (0 to 1) of the packets is lost in each direction."""
        self._firewall("loss", share and ("-m", "statistic", "--mode", "random", "--probability",
                                          str(share), "-j", "DROP"))

    def partition(self, on):
        """While on, nothing passes in either direction, and nobody is told."""
        self._firewall("partition", on and ("-j", "DROP"))

    def cut(self, on):
        """While on, every connection is reset when something is sent, and none is made."""
        # The resets themselves have to arrive.
        self._firewall("cut", on and ("-p", "tcp", "!", "--tcp-flags", "RST", "RST",
                                      "-j", "REJECT", "--reject-with", "tcp-reset"))

    def delay(self, seconds):
        """Every packet takes this much longer in each direction from now on."""
        with self._lock:
            old, self._relay = self._relay, None
            if seconds:
                self._end(old)
                self._relay = self._start_relay(seconds)
            elif old:
                self._route("veth")
                self._end(old)

    def _start_relay(self, seconds):
        """Opens a tun device at either end and sends the packets through them."""
        here = os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC)
        devices = [self._open_tun()]
        try:
            _enter(self._namespace)
            try:
                devices.append(self._open_tun())
            finally:
                _enter(here)
            self._route("tun")  # before the relay, which cannot write to a device that is down
            return subprocess.Popen([sys.executable, str(RELAY), *map(str, devices), str(seconds)],
                                    pass_fds=devices, stdin=subprocess.DEVNULL)
        finally:
            for descriptor in (here, *devices):
                os.close(descriptor)

    def _open_tun(self):
        """A tun device in the calling thread's namespace; it goes when its descriptor is closed."""
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(device, TUNSETIFF,
                    struct.pack("16sH22x", self._name("tun").encode(), IFF_TUN | IFF_NO_PI))
        return device

    @staticmethod
    def _end(relay):
        if relay:
            relay.kill()
            relay.wait()

    def close(self):
        self._end(self._relay)
        os.close(self._namespace)
