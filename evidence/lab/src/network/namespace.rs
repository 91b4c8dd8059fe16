//! A network namespace.
//!
//! The namespace is an open file, without a name or a mount. When the last file is closed and the
//! last process has ended, the kernel removes the namespace with its interfaces, rules and settings.

use std::fmt::Display;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};
use fs_err::{self as fs, File};
use nix::sched::{CloneFlags, setns, unshare};

use crate::command;

pub struct Namespace(File);

impl Namespace {
    pub fn new() -> Result<Self> {
        // unshare changes the namespace of one thread only.
        let thread = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace")?;
            anyhow::Ok(Self(File::open("/proc/thread-self/ns/net")?))
        });
        let namespace = thread.join().expect("the thread does not panic")?;
        // Duplicate address detection takes a second or two. Until it has ended for the link-local
        // address, a router cannot look for neighbors.
        namespace.set("ipv6/conf/all/accept_dad", 0)?;
        namespace.set("ipv6/conf/default/accept_dad", 0)?;
        Ok(namespace)
    }

    /// Runs `f` in a thread in this namespace. The sockets that `f` opens stay in the namespace.
    pub fn enter<T: Send>(&self, f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET)?;
                f()
            });
            inside.join().expect("the thread does not panic")
        })
    }

    /// Returns a path by which other programs open the namespace.
    pub fn path(&self) -> Result<PathBuf> {
        // /proc has the PIDs outside the PID namespace, so process::id() would be wrong.
        let process = fs::read_link("/proc/self")?;
        Ok(Path::new("/proc").join(process).join(format!("fd/{}", self.0.as_raw_fd())))
    }

    /// Returns a command that runs a program in this namespace.
    pub fn command(&self, program: &Path) -> Result<Command> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path()?.display())).arg(program);
        Ok(command)
    }

    /// Runs a program in this namespace, as [`command::run`].
    pub fn run(&self, program: &str, args: &[&str], input: &str) -> Result<String> {
        command::run(self.command(Path::new(program))?.args(args), input)
    }

    /// Sets the value of a file under /proc/sys/net in this namespace.
    pub fn set(&self, name: &str, value: impl Display) -> Result<()> {
        let file = Path::new("/proc/sys/net").join(name);
        let value = value.to_string();
        self.enter(|| Ok(fs::write(file, value)?))
    }
}
