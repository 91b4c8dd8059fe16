# Runs the program "$1" in gVisor, whose TCP takes over the interfaces of this network namespace.

# Shows the numbers that processes have in this process namespace.
mount -t proc proc /proc
# gVisor refuses to take over the machine's own network, and tells it by files in this directory. Newer kernels
# have these files in each network namespace.
mount -t tmpfs none /proc/sys/net/core
# A place for gVisor's files, which ends with this mount namespace.
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
# An ordinary user could not make gVisor's own sandbox, and the program under test needs none.
exec runsc --TESTONLY-unsafe-nonroot --network=sandbox --ignore-cgroups --root=/mnt/state run --bundle=/mnt peer
