//! Everything that the router's interfaces see, as it comes, and as a file for Wireshark.

use std::fs::File;
use std::io::{self, BufWriter, IoSliceMut, PipeWriter, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use std::{iter, thread};

use anyhow::{Context, Result};
use nix::cmsg_space;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimestampns};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType,
    recvmsg, setsockopt, socket,
};
use nix::sys::time::TimeSpec;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{DataLink, TsResolution};
use serde::{Deserialize, Serialize};

use crate::network::Namespace;

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

/// `linux/if_packet.h`, `linux/if_arp.h`, `linux/if_ether.h`
const PACKET_HOST: u8 = 0;
const PACKET_OUTGOING: u8 = 4;
const ARPHRD_ETHER: u16 = 1;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// The kernel's, for packets that are not fetched yet.
const ROOM: usize = 16 << 20;

/// Of a veth interface, whose MTU is 1500.
const LARGEST_PACKET: usize = 1500;

pub struct Capture {
    tap: Arc<Tap>,
    /// Dropped, it ends the thread that listens.
    _stop: PipeWriter,
}

struct Tap {
    socket: OwnedFd,
    frames: Mutex<Vec<Frame>>,
    more: Condvar,
}

impl Capture {
    pub fn start(namespace: &Namespace) -> Result<Self> {
        let socket = namespace.enter(|| {
            let socket = socket(
                AddressFamily::Packet,
                SockType::Datagram,
                SockFlag::SOCK_CLOEXEC,
                SockProtocol::EthAll,
            )?;
            setsockopt(&socket, ReceiveTimestampns, &true)?;
            // Room for the probes of a thousand connections at once, which root alone can have.
            // Else some of them are missing in that one scenario's capture; its rows do not care.
            let _ = setsockopt(&socket, RcvBufForce, &ROOM);
            Ok(socket)
        })?;
        let (stopped, _stop) = io::pipe()?;
        let tap = Arc::new(Tap { socket, frames: Mutex::default(), more: Condvar::new() });
        let listener = Arc::clone(&tap);
        thread::spawn(move || {
            let mut events = [
                PollFd::new(listener.socket.as_fd(), PollFlags::POLLIN),
                PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
            ];
            while poll(&mut events, PollTimeout::NONE).is_ok() && events[1].any() == Some(false) {
                drop(listener.frames());
                listener.more.notify_all();
            }
        });
        Ok(Self { tap, _stop })
    }

    pub fn frames(&self) -> Vec<Frame> {
        self.tap.frames().clone()
    }

    /// Waits until `found` finds something among the frames so far, at most until the deadline.
    pub fn wait_until<T>(
        &self,
        deadline: Instant,
        mut found: impl FnMut(&[Frame]) -> Option<T>,
    ) -> Option<T> {
        let mut frames = self.tap.frames();
        loop {
            if let Some(it) = found(&frames) {
                return Some(it);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            frames = self.tap.more.wait_timeout(frames, left).unwrap().0;
        }
    }
}

impl Tap {
    /// All frames up to this moment: the kernel hands a packet to the socket before it lets it
    /// through, so what a program has received is among them.
    fn frames(&self) -> MutexGuard<'_, Vec<Frame>> {
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

/// Writes what `tcpdump -i any` would: each packet behind a header that names the interface and
/// the direction (LINKTYPE_LINUX_SLL2).
pub fn save(frames: &[Frame], path: &Path) -> Result<()> {
    let header = PcapHeader {
        datalink: DataLink::LINUX_SLL2,
        ts_resolution: TsResolution::NanoSecond,
        ..PcapHeader::default()
    };
    let file = BufWriter::new(File::create(path)?);
    let mut pcap = PcapWriter::with_header(file, header)?;
    for frame in frames {
        let mut record = Vec::new();
        record.extend(frame.ether_type().to_be_bytes());
        record.extend([0; 2]);
        record.extend((frame.interface as u32).to_be_bytes());
        record.extend(ARPHRD_ETHER.to_be_bytes());
        record.push(if frame.outgoing { PACKET_OUTGOING } else { PACKET_HOST });
        // No link-layer address: its length, and the room for it.
        record.extend([0; 9]);
        record.extend(&frame.ip);
        pcap.write_packet(&PcapPacket::new(frame.at, record.len() as u32, &record))?;
    }
    Ok(pcap.into_writer().flush()?)
}

impl Frame {
    fn ether_type(&self) -> u16 {
        let version = self.ip.first().map(|byte| byte >> 4);
        if version == Some(6) { ETHERTYPE_IPV6 } else { ETHERTYPE_IPV4 }
    }
}

#[cfg(test)]
mod tests {
    use pcap_file::pcap::PcapReader;

    use super::*;

    #[test]
    fn the_file_says_interface_direction_and_protocol() {
        let path = std::env::temp_dir().join(format!("lab-{}.pcap", std::process::id()));
        let at = Duration::new(1_700_000_000, 123_456_789);
        let frames = [
            Frame { at, interface: 2, outgoing: false, ip: vec![0x45, 1] },
            Frame { at, interface: 3, outgoing: true, ip: vec![0x60, 2] },
        ];
        save(&frames, &path).unwrap();

        let mut pcap = PcapReader::new(File::open(&path).unwrap()).unwrap();
        assert_eq!(pcap.header().datalink, DataLink::LINUX_SLL2);
        for expected in [
            [8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x45, 1],
            [0x86, 0xdd, 0, 0, 0, 0, 0, 3, 0, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x60, 2],
        ] {
            let packet = pcap.next_packet().unwrap().unwrap();
            assert_eq!((packet.timestamp, &*packet.data), (at, &expected[..]));
        }
        assert!(pcap.next_packet().is_none());
        std::fs::remove_file(path).unwrap();
    }
}
