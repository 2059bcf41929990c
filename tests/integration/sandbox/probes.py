"""Escape attempts: each a program that runs inside and says THROUGH when it got out, CONTAINED with the error.

A `control` probe is harmless, so it is also run without a sandbox, where it must say THROUGH: an attempt
that fails everywhere proves nothing.
"""

import dataclasses
import textwrap

PREAMBLE = """
import ctypes, fcntl, json, os, pathlib, signal, socket, stat, struct, subprocess, sys, time
facts = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
def call(function, *arguments):
    if function(*arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def syscall(number, *arguments):
    x86, arm = number
    call(libc.syscall, x86 if os.uname().machine == "x86_64" else arm, *arguments)
def nothing(what):
    raise OSError(0, what)
def unix(address):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(address)
"""
ENDING = """
try:
    escape()
except OSError as problem:
    print("CONTAINED", problem)
else:
    print("THROUGH")
"""


@dataclasses.dataclass(frozen=True)
class Probe:
    name: str
    body: str
    control: bool = False

    @property
    def program(self) -> str:
        body = textwrap.indent(textwrap.dedent(self.body).strip(), "    ")
        return f"{PREAMBLE}\ndef escape():\n{body}\n{ENDING}"


def _probe(name: str, body: str, *, control: bool = False) -> Probe:
    return Probe(name, body, control)


NETWORK = (
    _probe("tcp to the host", "socket.create_connection(('127.0.0.1', facts['tcp']), 2)", control=True),
    _probe(
        "tcp to the host's address",
        "socket.create_connection((facts['address'], facts['tcp']), 2)",
        control=True,
    ),
    _probe(
        "udp to the host",
        """
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.connect((facts['address'], facts['udp']))
        one.send(b'out')
        """,
        control=True,
    ),
    _probe("abstract unix socket", "unix(chr(0) + facts['abstract'])", control=True),
    _probe("unix socket outside", "unix(facts['unix'])", control=True),
    _probe("docker's socket", "unix('/var/run/docker.sock')"),
    _probe("name lookup", "socket.getaddrinfo('example.org', 80)"),
    _probe("raw socket", "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)"),
    _probe("packet socket", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"),
    _probe("vsock to the machine's host", "socket.socket(40, socket.SOCK_STREAM)", control=True),
    _probe("kernel crypto socket", "socket.socket(38, socket.SOCK_SEQPACKET)"),
)

FILES = (
    _probe("read a file outside", "pathlib.Path(facts['secret']).read_text()", control=True),
    _probe("read outside by ..", "pathlib.Path('..', 'secret').read_text()", control=True),
    _probe("read outside by a link of the repository", "pathlib.Path('link').read_text()", control=True),
    _probe(
        "read outside by a link made now",
        "os.symlink(facts['secret'], 'fresh'); pathlib.Path('fresh').read_text()",
        control=True,
    ),
    _probe(
        "read outside by /proc/self/root",
        "pathlib.Path('/proc/self/root' + facts['secret']).read_text()",
        control=True,
    ),
    _probe("hard link to a file outside", "os.link(facts['secret'], 'hard')", control=True),
    _probe("write outside", "pathlib.Path(facts['outside'], 'planted').write_text('x')", control=True),
    _probe("write outside by ..", "pathlib.Path('..', 'outside', 'planted').write_text('x')", control=True),
    _probe(
        "write outside by a folder that is a link",
        "pathlib.Path('folder-link', 'planted').write_text('x')",
        control=True,
    ),
    _probe("rename outside", "pathlib.Path('file').rename(facts['outside'] + '/planted')", control=True),
    _probe("move the worktree", "os.rename(facts['worktree'], facts['worktree'] + '.gone')"),
    _probe("home", "pathlib.Path(facts['home_file']).read_bytes()", control=True),
    _probe("shadow", "pathlib.Path('/etc/shadow').read_bytes()"),
    _probe("write passwd", "open('/etc/passwd', 'a')"),
    _probe("write system programs", "open('/usr/bin/planted', 'w')"),
    _probe("change rights of a system file", "os.chmod('/usr/bin/env', 0o755)"),
    _probe("write the interpreter", "open(sys.base_prefix + '/planted', 'w')"),
    _probe("write the root folder", "open('/planted', 'w')"),
    _probe("write the device folder", "open('/dev/planted', 'w')"),
    _probe("disk device", "[open(path, 'rb') for path in facts['disks']] or nothing('no disk')"),
    _probe("memory device", "open('/dev/mem', 'rb')"),
)

GIT = (
    _probe(
        "write .git/config", "open('.git/config', 'a').write('[core]\\n\\tfsmonitor = evil\\n')", control=True
    ),
    _probe("write a hook", "pathlib.Path('.git/hooks/pre-commit').write_text('#!/bin/sh')", control=True),
    _probe("rename .git", "os.rename('.git', 'git-elsewhere')"),
    _probe(
        "remove .git",
        "subprocess.run(['rm', '-r', '.git'], capture_output=True).returncode and nothing('rm failed')",
    ),
    _probe("replace .git by a link", "os.symlink('/tmp', 'other'); os.replace('other', '.git')"),
    _probe("unmount .git", "call(libc.umount2, b'.git', 2)"),
    _probe("make .git writable by a mount", "call(libc.mount, b'none', b'.git', None, 0x1020, None)"),
    _probe("make .git writable by its rights", "os.chmod('.git', 0o777)"),
)

PROCESSES = (
    _probe(
        "environment of other processes",
        """
        for entry in pathlib.Path('/proc').glob('[0-9]*/environ'):
            try:
                if facts['marker'].encode() in entry.read_bytes():
                    return
            except OSError:
                pass
        nothing('none of them shows it')
        """,
        control=True,
    ),
    _probe(
        "see a process of the host",
        """
        lines = [one.read_bytes() for one in pathlib.Path('/proc').glob('[0-9]*/cmdline')]
        ending = facts['marker'].encode() + bytes(1)
        any(line.endswith(ending) for line in lines) or nothing('not seen')
        """,
        control=True,
    ),
    _probe("environment of process 1", "pathlib.Path('/proc/1/environ').read_bytes()"),
    _probe("memory of process 1", "open('/proc/1/mem', 'rb')"),
    _probe(
        "descriptors of process 1",
        "[os.readlink('/proc/1/fd/' + name) for name in os.listdir('/proc/1/fd')]",
    ),
    _probe("root folder of process 1", "os.listdir('/proc/1/root')"),
    _probe("trace process 1", "syscall((101, 117), 16, 1, None, None)"),
    _probe("be traced", "syscall((101, 117), 0, 0, None, None)", control=True),
    _probe("read the memory of process 1", "syscall((310, 270), 1, None, 0, None, 0, 0)"),
    _probe("limits of process 1", "import resource; resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))"),
    _probe("priority of process 1", "os.setpriority(os.PRIO_PROCESS, 1, 19)"),
    _probe("scheduler of process 1", "os.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0))"),
    _probe("signal to a process of the host", "os.kill(facts['pid'], 0)", control=True),
    _probe(
        "inherited descriptors",
        """
        # The one that lists the folder is closed again by now.
        kept = [name for name in os.listdir('/proc/self/fd') if int(name) > 2]
        [one for one in kept if os.path.exists('/proc/self/fd/' + one)] or nothing('only its own')
        """,
    ),
    _probe("secrets in the environment", "facts['marker'] in str(os.environ) or nothing('scrubbed')"),
    _probe("inject terminal input", "fcntl.ioctl(0, 0x5412, b'x')"),
)

KERNEL = (
    _probe("kernel settings", "open('/proc/sys/kernel/core_pattern', 'w')"),
    _probe("own settings that reach out", "open('/proc/self/oom_score_adj', 'w')"),
    _probe("sysrq", "open('/proc/sysrq-trigger', 'w')"),
    _probe("kernel memory", "open('/proc/kcore', 'rb')"),
    _probe("kernel log", "open('/proc/kmsg', 'rb')"),
    _probe("mount", "call(libc.mount, b'tmpfs', b'/tmp', b'tmpfs', 0, None)"),
    _probe("new mount interface", "syscall((430, 430), b'tmpfs', 0)"),
    _probe("new user namespace", "call(libc.unshare, 0x10000000)", control=True),
    _probe(
        "new namespaces by clone", "syscall((56, 220), 0x10000000 | 0x20000000 | 17, None, None, None, 0)"
    ),
    _probe("clone3", "syscall((435, 435), None, 0)"),
    _probe("namespace of process 1", "fd = os.open('/proc/1/ns/net', os.O_RDONLY); call(libc.setns, fd, 0)"),
    _probe("own namespace again", "fd = os.open('/proc/self/ns/mnt', os.O_RDONLY); call(libc.setns, fd, 0)"),
    _probe("chroot", "os.chroot('/tmp')"),
    _probe("become root", "os.setuid(0)"),
    _probe(
        "set-user-id program",
        "import shutil; shutil.copy('/usr/bin/id', 'id'); os.chmod('id', 0o4755)",
        control=True,
    ),
    _probe("set-group-id program", "pathlib.Path('id').touch(); os.chmod('id', 0o2755)", control=True),
    _probe(
        "set-user-id from birth", "os.close(os.open('id', os.O_CREAT | os.O_WRONLY, 0o4755))", control=True
    ),
    _probe("set-user-id by a node", "os.mknod('id', stat.S_IFREG | 0o4755)", control=True),
    _probe(
        "set-user-id program of the system",
        """
        if 'CapBnd:\\t0000000000000000' in pathlib.Path('/proc/self/status').read_text():
            said = subprocess.run(['/usr/bin/su', '-c', 'id -u'], capture_output=True, text=True, stdin=subprocess.DEVNULL)
            said.stdout.strip() == '0' or nothing('no new privileges')
        """,
    ),
    _probe("device node", "os.mknod('node', 0o600 | stat.S_IFBLK, os.makedev(8, 0))"),
    _probe("keyrings", "syscall((250, 219), 0, -3, 0)", control=True),
    _probe("bpf", "syscall((321, 280), 0, None, 0)"),
    _probe("io_uring", "syscall((425, 425), 1, ctypes.create_string_buffer(200))"),
    _probe("user fault handling", "syscall((323, 282), 1)"),
    _probe("files in memory alone", "syscall((319, 279), b'hidden', 0)", control=True),
    _probe("file handles", "syscall((304, 265), -1, None, 0)"),
    _probe("host name", "socket.sethostname('escaped')"),
    _probe("clock", "time.clock_settime(time.CLOCK_REALTIME, time.time())"),
)

ALL = (*NETWORK, *FILES, *GIT, *PROCESSES, *KERNEL)
