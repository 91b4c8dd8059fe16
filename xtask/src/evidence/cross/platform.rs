//! The targets that a Linux machine can run std's tests for: how to link for them, what runs them,
//! and what both need.

/// A target and all that it takes to build and run a test for it.
pub struct Platform {
    pub target: &'static str,
    /// Whether it is among those that are tried when none is named.
    pub choice: Choice,
    pub linker: &'static str,
    pub rustflags: &'static [&'static str],
    pub runner: Runner,
    pub needs: Vec<Need>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Choice {
    /// Part of the shortest run that has a big-endian target, Windows, and a native one.
    Quick,
    Default,
    /// Only where it is named, or everything is asked for.
    Further,
}

/// What executes the target's programs.
pub enum Runner {
    /// This machine, if the program is for it. Not all that it runs has a dynamic loader of its own.
    Native {
        loader: Option<Loader>,
    },
    /// The emulator of one program, with the target's libraries below `root`.
    Qemu {
        program: &'static str,
        root: &'static str,
    },
    Wine,
    Wasmtime,
}

pub struct Loader {
    pub program: &'static str,
    pub libraries: &'static str,
}

/// Something that must be there before a target can be built or run.
#[derive(Clone)]
pub struct Need {
    pub what: What,
    pub from: Source,
}

#[derive(Clone)]
pub enum What {
    /// A program on the PATH.
    Program(&'static str),
    /// A file at one of these places.
    File(&'static [&'static str]),
    /// A file below [`crate::cross::support::Support::tools`].
    Tool(&'static str),
    /// A processor that this machine must have.
    Processor(&'static str),
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Source {
    /// A package of the installed release of Debian.
    Debian(&'static str),
    /// A package of Debian's newest release, unpacked below build/ and not installed.
    Unpacked { package: &'static str, suite: &'static str },
    /// A package of the Python registry, in an environment of its own below build/.
    Python { package: &'static str, version: &'static str },
    /// Another machine.
    Nowhere,
}

const fn program(name: &'static str, package: &'static str) -> Need {
    Need { what: What::Program(name), from: Source::Debian(package) }
}

const fn file(paths: &'static [&'static str], package: &'static str) -> Need {
    Need { what: What::File(paths), from: Source::Debian(package) }
}

const X86_64: Need = Need { what: What::Processor("x86_64"), from: Source::Nowhere };
const CC: Need = program("cc", "gcc");

/// A target of Linux that Debian has a cross compiler for and qemu an emulator.
macro_rules! emulated {
    ($target:literal, $choice:ident, $triplet:literal, gcc $gcc:literal, libc $libc:literal,
     qemu $qemu:literal) => {
        Platform {
            target: $target,
            choice: Choice::$choice,
            linker: concat!($triplet, "-gcc"),
            rustflags: &[],
            runner: Runner::Qemu { program: $qemu, root: concat!("/usr/", $triplet) },
            needs: vec![
                program(concat!($triplet, "-gcc"), $gcc),
                file(&[concat!("/usr/", $triplet, "/lib/libc.so")], $libc),
                program($qemu, "qemu-user"),
            ],
        }
    };
}

/// A target of Windows that can be linked with MinGW.
macro_rules! windows {
    ($target:literal, $choice:ident) => {
        Platform {
            target: $target,
            choice: Choice::$choice,
            linker: "x86_64-w64-mingw32-gcc",
            rustflags: &[],
            runner: Runner::Wine,
            needs: vec![
                X86_64,
                program("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64"),
                file(WINE, "wine64"),
            ],
        }
    };
}

/// A target of WASI, linked with what comes with the compiler.
macro_rules! wasi {
    ($target:literal, $choice:ident) => {
        Platform {
            target: $target,
            choice: Choice::$choice,
            linker: "wasm-component-ld",
            // In 1.95, std for 0.3 still uses the interfaces of 0.2, so this library is for both.
            rustflags: &[
                "-Clink-self-contained=no",
                "-L{tools}/wasi-libc/usr/lib/wasm32-wasip2",
                "-Clink-arg={tools}/wasi-libc/usr/lib/wasm32-wasip2/crt1-command.o",
            ],
            runner: Runner::Wasmtime,
            needs: vec![
                Need {
                    what: What::Tool("wasi-libc/usr/lib/wasm32-wasip2/libc.a"),
                    from: Source::Unpacked { package: "wasi-libc", suite: "sid" },
                },
                Need {
                    what: What::Tool("python/bin/python3"),
                    // From 48 on, TCP is off unless it is asked for, which Python cannot.
                    from: Source::Python { package: "wasmtime", version: "45.0.0" },
                },
            ],
        }
    };
}

/// Wine without the script around it, which complains where the one for 32 bits is missing.
pub const WINE: &[&str] = &["/usr/lib/wine/wine64", "/usr/bin/wine64", "/usr/local/bin/wine64"];

pub fn all() -> Vec<Platform> {
    vec![
        Platform {
            target: "x86_64-unknown-linux-gnu",
            choice: Choice::Default,
            linker: "cc",
            rustflags: &[],
            runner: Runner::Native { loader: None },
            needs: vec![X86_64, CC],
        },
        Platform {
            target: "i686-unknown-linux-gnu",
            choice: Choice::Default,
            linker: "i686-linux-gnu-gcc",
            rustflags: &[],
            runner: Runner::Native {
                loader: Some(Loader {
                    program: "/usr/i686-linux-gnu/lib/ld-linux.so.2",
                    libraries: "/usr/i686-linux-gnu/lib",
                }),
            },
            needs: vec![
                X86_64,
                program("i686-linux-gnu-gcc", "gcc-i686-linux-gnu"),
                file(&["/usr/i686-linux-gnu/lib/libc.so"], "libc6-dev-i386-cross"),
            ],
        },
        Platform {
            target: "x86_64-unknown-linux-musl",
            choice: Choice::Quick,
            linker: "musl-gcc",
            // The C library's own files come with a component of rustup otherwise.
            rustflags: &["-Clink-self-contained=no", "-L{support}/musl"],
            runner: Runner::Native { loader: None },
            needs: vec![X86_64, CC, program("musl-gcc", "musl-tools")],
        },
        emulated!("aarch64-unknown-linux-gnu", Default, "aarch64-linux-gnu",
            gcc "gcc-aarch64-linux-gnu", libc "libc6-dev-arm64-cross", qemu "qemu-aarch64"),
        emulated!("armv7-unknown-linux-gnueabihf", Default, "arm-linux-gnueabihf",
            gcc "gcc-arm-linux-gnueabihf", libc "libc6-dev-armhf-cross", qemu "qemu-arm"),
        emulated!("riscv64gc-unknown-linux-gnu", Default, "riscv64-linux-gnu",
            gcc "gcc-riscv64-linux-gnu", libc "libc6-dev-riscv64-cross", qemu "qemu-riscv64"),
        emulated!("powerpc64-unknown-linux-gnu", Default, "powerpc64-linux-gnu",
            gcc "gcc-powerpc64-linux-gnu", libc "libc6-dev-ppc64-cross", qemu "qemu-ppc64"),
        emulated!("s390x-unknown-linux-gnu", Quick, "s390x-linux-gnu",
            gcc "gcc-s390x-linux-gnu", libc "libc6-dev-s390x-cross", qemu "qemu-s390x"),
        windows!("x86_64-pc-windows-gnu", Quick),
        wasi!("wasm32-wasip2", Default),
        wasi!("wasm32-wasip3", Further),
        windows!("x86_64-win7-windows-gnu", Further),
        emulated!("mips-unknown-linux-gnu", Further, "mips-linux-gnu",
            gcc "gcc-mips-linux-gnu", libc "libc6-dev-mips-cross", qemu "qemu-mips"),
        emulated!("sparc64-unknown-linux-gnu", Further, "sparc64-linux-gnu",
            gcc "gcc-sparc64-linux-gnu", libc "libc6-dev-sparc64-cross", qemu "qemu-sparc64"),
        emulated!("powerpc-unknown-linux-gnu", Further, "powerpc-linux-gnu",
            gcc "gcc-powerpc-linux-gnu", libc "libc6-dev-powerpc-cross", qemu "qemu-ppc"),
    ]
}
