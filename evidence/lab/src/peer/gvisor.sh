# Runs the program "$1" in gVisor, whose network stack takes over the interfaces of this network namespace.

# /proc shows the PIDs outside this PID namespace.
mount -t proc proc /proc
# gVisor refuses to take over the machine's own network, which it recognizes by files in this directory. Newer kernels
# have these files in each network namespace.
mount -t tmpfs none /proc/sys/net/core
# The directory for gVisor's files ends with this mount namespace.
mount -t tmpfs none /mnt
# The PATH is short, because a script such as pyenv's python3 runs slowly in gVisor.
cat >/mnt/config.json <<END
{
    "ociVersion": "1.0.0",
    "process": { "user": { "uid": 0, "gid": 0 }, "args": ["$1"], "env": ["PATH=/usr/bin:/bin"], "cwd": "/" },
    "root": { "path": "/", "readonly": true },
    "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
    "linux": {
        "namespaces": [
            { "type": "pid" }, { "type": "mount" }, { "type": "ipc" }, { "type": "uts" },
            { "type": "network", "path": "/proc/self/ns/net" }
        ]
    }
}
END
# An ordinary user cannot make gVisor's own sandbox, and the program under test needs no sandbox.
exec runsc --TESTONLY-unsafe-nonroot --network=sandbox --ignore-cgroups --root=/mnt/state run --bundle=/mnt peer
