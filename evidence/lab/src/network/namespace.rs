//! A network namespace, and how to get into it.
//!
//! It is an open file and nothing else: no name, no mount. When the last file and the last process
//! are gone the kernel takes it down, with its interfaces, rules and settings.

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
        // A thread of its own, because what it unshares is its alone; the file outlives it.
        let thread = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("making a network namespace")?;
            anyhow::Ok(Self(File::open("/proc/thread-self/ns/net")?))
        });
        let namespace = thread.join().expect("no panic in there")?;
        // IPv6 spends a second or two asking whether an address is taken. Until that is settled
        // for the address that each interface gives itself, a router cannot even look for its
        // neighbors.
        namespace.set("ipv6/conf/all/accept_dad", 0)?;
        namespace.set("ipv6/conf/default/accept_dad", 0)?;
        Ok(namespace)
    }

    /// Runs `f` in a thread that is in this namespace; the sockets that it opens stay in it.
    pub fn enter<T: Send>(&self, f: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET)?;
                f()
            });
            inside.join().expect("no panic in there")
        })
    }

    /// Where other programs find it, for as long as it is open here.
    pub fn path(&self) -> Result<PathBuf> {
        // /proc knows this process by its number outside of the sandbox.
        let process = fs::read_link("/proc/self")?;
        Ok(Path::new("/proc").join(process).join(format!("fd/{}", self.0.as_raw_fd())))
    }

    /// A command that will run in here.
    pub fn command(&self, program: &Path) -> Result<Command> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path()?.display())).arg(program);
        Ok(command)
    }

    /// Runs a program in here, with `input` as its standard input; returns its standard output.
    pub fn run(&self, program: &str, args: &[&str], input: &str) -> Result<String> {
        command::run(self.command(Path::new(program))?.args(args), input)
    }

    /// Sets what is at `name` under /proc/sys/net in here.
    pub fn set(&self, name: &str, value: u32) -> Result<()> {
        let file = Path::new("/proc/sys/net").join(name);
        self.enter(|| Ok(fs::write(file, value.to_string())?))
    }
}
