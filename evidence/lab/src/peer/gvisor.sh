# Runs the program "$1" in gVisor, whose TCP takes over the interfaces of this network namespace.

# Where processes have the numbers that they have in here.
mount -t proc proc /proc
# By this file, gVisor tells the machine's own network, which it would not take over. Newer kernels show it
# in all of them.
mount -t tmpfs none /proc/sys/net/core
# For what it writes, which goes with this mount namespace.
mount -t tmpfs none /mnt
# With a short PATH, as what is a script around a program takes its time there.
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
# Without a sandbox, which an ordinary user could not make. There is nothing to keep in.
exec runsc --TESTONLY-unsafe-nonroot --network=sandbox --ignore-cgroups --root=/mnt/state run --bundle=/mnt peer
