//! Records every packet that the router's interfaces see, as it comes.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};
use std::{iter, thread};

use anyhow::{Context, Result};
use nix::cmsg_space;
use nix::libc::PACKET_OUTGOING;
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimestampns};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType,
    recvmsg, setsockopt, socket,
};
use nix::sys::time::TimeSpec;
use serde::{Deserialize, Serialize};

use self::packet::Packet;
use crate::network::Namespace;

pub mod packet;
pub mod pcap;

/// One IP packet at one of the router's interfaces.
#[derive(Clone, Serialize, Deserialize)]
pub struct Frame {
    /// Since the epoch, by the kernel's clock.
    pub at: Duration,
    pub interface: usize,
    /// The router sent it; else it came in.
    pub outgoing: bool,
    pub ip: Vec<u8>,
}

/// The kernel's, for packets that are not fetched yet.
const ROOM: usize = 16 << 20;

/// Of a veth interface, whose MTU is 1500.
const LARGEST_PACKET: usize = 1500;

pub struct Capture {
    /// Since the epoch: when it began.
    pub start: Duration,
    socket: OwnedFd,
    frames: Mutex<Vec<Frame>>,
}

/// How often it is looked what has come.
const PERIOD: Duration = Duration::from_millis(10);

impl Capture {
    /// Starts it: until it is dropped, a thread fetches what comes.
    pub fn start(namespace: &Namespace) -> Result<Arc<Self>> {
        let socket = namespace.enter(|| {
            let (family, flags) = (AddressFamily::Packet, SockFlag::SOCK_CLOEXEC);
            let socket = socket(family, SockType::Datagram, flags, SockProtocol::EthAll)?;
            setsockopt(&socket, ReceiveTimestampns, &true)?;
            // Room for the probes of a thousand connections at once, which root alone can have.
            // Else some of them are missing in that one scenario's capture; its rows do not care.
            let _ = setsockopt(&socket, RcvBufForce, &ROOM);
            Ok(socket)
        })?;
        let start = SystemTime::UNIX_EPOCH.elapsed()?;
        let capture = Arc::new(Self { start, socket, frames: Mutex::default() });
        let fetched = Arc::downgrade(&capture);
        thread::spawn(move || {
            while let Some(capture) = fetched.upgrade() {
                drop(capture.fetch());
                thread::sleep(PERIOD);
            }
        });
        Ok(capture)
    }

    pub fn frames(&self) -> Vec<Frame> {
        self.fetch().clone()
    }

    /// The packets so far.
    pub fn packets(&self) -> Vec<Packet> {
        packet::read(&self.fetch(), self.start)
    }

    /// Waits until `found` finds something among the packets so far, for `seconds` at most.
    pub fn wait<T>(
        &self,
        seconds: f64,
        mut found: impl FnMut(&[Packet]) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + Duration::from_secs_f64(seconds);
        loop {
            let found = found(&self.packets());
            if found.is_some() || Instant::now() > deadline {
                return found;
            }
            thread::sleep(PERIOD);
        }
    }

    /// All frames up to this moment: the kernel hands a packet to the socket before it lets it
    /// through, so what a program has received is among them.
    fn fetch(&self) -> MutexGuard<'_, Vec<Frame>> {
        let mut frames = self.frames.lock().unwrap();
        frames.extend(iter::from_fn(|| receive(&self.socket).ok()));
        frames
    }
}

fn receive(socket: &OwnedFd) -> Result<Frame> {
    let mut ip = vec![0; LARGEST_PACKET];
    let mut buffers = [IoSliceMut::new(&mut ip)];
    let mut control = cmsg_space!(TimeSpec);
    let flags = MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut buffers, Some(&mut control), flags)?;
    let at = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
        _ => None,
    });
    let at = at.context("no time stamp")?;
    let from = message.address.context("no address")?;
    let length = message.bytes;
    ip.truncate(length);
    Ok(Frame { at, interface: from.ifindex(), outgoing: from.pkttype() == PACKET_OUTGOING, ip })
}
