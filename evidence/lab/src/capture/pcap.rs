//! Writes frames in the format of libpcap, for Wireshark.

use nix::libc::{ARPHRD_ETHER, ETH_P_IP, ETH_P_IPV6, PACKET_HOST, PACKET_OUTGOING};

use super::Frame;

/// The magic number for time stamps in nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
/// Version 2.4.
const VERSION: u32 = 2 << 16 | 4;
const LARGEST: u32 = u16::MAX as u32;

/// LINKTYPE_LINUX_SLL2, as `tcpdump -i any` writes it: a header of 20 bytes with the interface and
/// the direction precedes each packet.
const LINUX_SLL2: u32 = 276;
const HEADER: usize = 20;

/// Returns the contents of a capture file.
pub fn file(frames: &[Frame]) -> Vec<u8> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect();
    let mut file: Vec<u8> = words(&[MAGIC, VERSION, 0, 0, LARGEST, LINUX_SLL2]);
    for Frame { at, interface, outgoing, ip } in frames {
        let length = (HEADER + ip.len()) as u32;
        let is_ipv6 = ip.first().is_some_and(|byte| byte >> 4 == 6);
        let protocol = if is_ipv6 { ETH_P_IPV6 } else { ETH_P_IP } as u32;
        let direction = if *outgoing { PACKET_OUTGOING } else { PACKET_HOST };
        let device = u32::from(ARPHRD_ETHER) << 16 | u32::from(direction) << 8;
        file.extend(words(&[at.as_secs() as u32, at.subsec_nanos(), length, length]));
        // The last two words are the link layer's address, which is empty.
        file.extend(words(&[protocol << 16, *interface as u32, device, 0, 0]));
        file.extend(ip);
    }
    file
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn file_has_time_interface_direction_and_protocol() {
        let at = Duration::new(1_700_000_000, 123_456_789);
        let frames = [
            Frame { at, interface: 2, outgoing: false, ip: vec![0x45, 1] },
            Frame { at, interface: 3, outgoing: true, ip: vec![0x60, 2] },
        ];
        let header = [
            [0xa1, 0xb2, 0x3c, 0x4d, 0, 2, 0, 4, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 20],
        ];
        let record = [0x65, 0x53, 0xf1, 0, 0x07, 0x5b, 0xcd, 0x15, 0, 0, 0, 22, 0, 0, 0, 22];
        let expected = [
            header.concat(),
            record.to_vec(),
            vec![8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x45, 1],
            record.to_vec(),
            vec![0x86, 0xdd, 0, 0, 0, 0, 0, 3, 0, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x60, 2],
        ];
        assert_eq!(file(&frames), expected.concat());
    }
}
