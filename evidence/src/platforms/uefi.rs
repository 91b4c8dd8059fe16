//! Calls the methods on UEFI, on a connection of the firmware's own TCP, and prints the results.

#![feature(rustc_private, tcp_keepalive, uefi_std)]

// std depends on r_efi, so the sysroot has r_efi.
extern crate r_efi;

mod unsupported;

use std::net::TcpStream;
use std::os::uefi::env;
use std::time::Duration;
use std::{ptr, thread};

use r_efi::efi;
use r_efi::protocols::timestamp;

/// QEMU connects this address to a program that sends back what it receives.
const ECHO: &str = "10.0.2.100:7";

static TIMESTAMP: timestamp::Protocol =
    timestamp::Protocol { get_timestamp: counter, get_properties: properties };

fn main() {
    // SAFETY: the system table is valid until `ExitBootServices`, which nothing here calls.
    let system = unsafe { env::system_table().cast::<efi::SystemTable>().as_ref() };
    install_timestamp(system);
    match connect() {
        Ok(mut stream) => unsupported::print_answers(&mut stream),
        Err(error) => println!("==> connect: {error:?}"),
    }
    // Without a shutdown, the firmware would start the next boot entry.
    // SAFETY: a shutdown needs no data, so the size is 0 and the pointer null.
    unsafe {
        let reset = (*system.runtime_services).reset_system;
        reset(efi::RESET_SHUTDOWN, efi::Status::SUCCESS, 0, ptr::null_mut())
    }
}

/// Connects as soon as the firmware has an address. Until then, `TcpStream::connect` returns `EFI_NO_MAPPING`. On a
/// busy machine, DHCP may take a minute: the firmware repeats a request after 4, 8, 16 and 32 seconds.
fn connect() -> std::io::Result<TcpStream> {
    let mut attempts = 0;
    loop {
        match TcpStream::connect(ECHO) {
            Err(error)
                if attempts < 400
                    && error.raw_os_error() == Some(efi::Status::NO_MAPPING.as_usize()) =>
            {
                attempts += 1;
                thread::sleep(Duration::from_millis(200));
            }
            result => return result,
        }
    }
}

/// Installs the protocol that `Instant::now` uses. `TcpStream::connect` calls `Instant::now`, which panics if there is
/// neither this protocol nor CPUID leaf 0x15. QEMU and OVMF have neither.
fn install_timestamp(system: &efi::SystemTable) {
    let (mut handle, mut guid) = (ptr::null_mut(), timestamp::PROTOCOL_GUID);
    // SAFETY: the protocol is static, and the firmware only reads it.
    let status = unsafe {
        let install = (*system.boot_services).install_protocol_interface;
        let protocol = (&raw const TIMESTAMP).cast_mut().cast();
        install(&mut handle, &mut guid, efi::NATIVE_INTERFACE, protocol)
    };
    assert_eq!(status, efi::Status::SUCCESS);
}

extern "efiapi" fn counter() -> u64 {
    // SAFETY: all processors for this target have the instruction.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// Returns a made-up frequency of 1 GHz: nothing here depends on the frequency.
extern "efiapi" fn properties(properties: *mut timestamp::Properties) -> efi::Status {
    let made_up = timestamp::Properties { frequency: 1_000_000_000, end_value: u64::MAX };
    // SAFETY: std passes a pointer to a value of its own.
    unsafe { properties.write(made_up) };
    efi::Status::SUCCESS
}
