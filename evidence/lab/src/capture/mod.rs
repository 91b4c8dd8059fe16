//! Captures all packets at the router's interfaces.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, anyhow};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::PACKET_OUTGOING;
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimestampns};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType,
    recvmsg, setsockopt, socket,
};
use nix::sys::time::TimeSpec;

use self::packet::Packet;
use crate::network::Namespace;

pub mod packet;
pub mod pcap;

/// A captured IP packet.
#[derive(Clone)]
pub struct Frame {
    /// The kernel's time stamp, since the epoch.
    pub at: Duration,
    pub interface: usize,
    /// True if the router sent the packet, false if it received the packet.
    pub outgoing: bool,
    pub ip: Vec<u8>,
}

/// The size of the kernel's buffer for captured packets.
const BUFFER: usize = 16 << 20;

/// The MTU of a veth interface.
const LARGEST_PACKET: usize = 1500;

/// The time between two reads of the kernel's buffer.
const PERIOD: Duration = Duration::from_millis(10);

/// The frames so far, or the error that ended the capture.
type Frames = Result<Vec<Frame>, String>;

pub struct Capture {
    /// The start of the capture, since the epoch.
    pub start: Duration,
    socket: OwnedFd,
    frames: Mutex<Frames>,
}

impl Capture {
    /// Starts a capture in a namespace. A thread fetches the frames until the capture is dropped.
    pub fn start(namespace: &Namespace) -> Result<Arc<Self>> {
        let socket = namespace.enter(|| {
            let (family, flags) = (AddressFamily::Packet, SockFlag::SOCK_CLOEXEC);
            let socket = socket(family, SockType::Datagram, flags, SockProtocol::EthAll)?;
            setsockopt(&socket, ReceiveTimestampns, &true)?;
            // The probes of the thousand connections of `server-side` need this size, which only root
            // may set. With the default size, its capture lacks some probes, but its checks do not
            // count probes.
            let _ = setsockopt(&socket, RcvBufForce, &BUFFER);
            Ok(socket)
        })?;
        let start = SystemTime::UNIX_EPOCH.elapsed()?;
        let capture = Arc::new(Self { start, socket, frames: Mutex::new(Ok(Vec::new())) });
        let weak = Arc::downgrade(&capture);
        thread::spawn(move || {
            while let Some(capture) = weak.upgrade() {
                drop(capture.fetch());
                thread::sleep(PERIOD);
            }
        });
        Ok(capture)
    }

    /// Returns the frames so far, with each packet that a program has received: the kernel hands a
    /// packet to the capture first.
    pub fn frames(&self) -> Result<Vec<Frame>> {
        self.fetch().clone().map_err(|error| anyhow!("cannot capture packets: {error}"))
    }

    pub fn packets(&self) -> Result<Vec<Packet>> {
        Ok(packet::read(&self.frames()?, self.start))
    }

    /// Waits up to `seconds` for `count` packets that are `wanted`. Returns the wanted packets.
    pub fn wait(
        &self,
        seconds: f64,
        count: usize,
        wanted: impl Fn(&Packet) -> bool,
    ) -> Result<Vec<Packet>> {
        let deadline = Instant::now() + Duration::from_secs_f64(seconds.max(0.0));
        loop {
            let mut packets = self.packets()?;
            packets.retain(&wanted);
            if packets.len() >= count || Instant::now() > deadline {
                return Ok(packets);
            }
            thread::sleep(PERIOD);
        }
    }

    fn fetch(&self) -> MutexGuard<'_, Frames> {
        let mut frames = self.frames.lock().unwrap();
        while let Ok(known) = &mut *frames {
            match receive(&self.socket) {
                Ok(Some(frame)) => known.push(frame),
                Ok(None) => break,
                Err(error) => *frames = Err(format!("{error:#}")),
            }
        }
        frames
    }
}

/// Receives a frame from the kernel's buffer. Returns `None` if the buffer is empty.
fn receive(socket: &OwnedFd) -> Result<Option<Frame>> {
    let mut ip = vec![0; LARGEST_PACKET];
    let mut buffers = [IoSliceMut::new(&mut ip)];
    let mut control = cmsg_space!(TimeSpec);
    let flags = MsgFlags::MSG_DONTWAIT;
    let result = recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut buffers, Some(&mut control), flags);
    let message = match result {
        Err(Errno::EAGAIN) => return Ok(None),
        result => result?,
    };
    let at = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(time) => Some(Duration::from(time)),
        _ => None,
    });
    let at = at.context("a packet has no time stamp")?;
    let from = message.address.context("a packet has no interface")?;
    let length = message.bytes;
    ip.truncate(length);
    let (interface, outgoing) = (from.ifindex(), from.pkttype() == PACKET_OUTGOING);
    Ok(Some(Frame { at, interface, outgoing, ip }))
}
