//! Calls its own trait's methods, which have other types than std's.

use std::io;
use std::net::TcpStream;
use std::time::Duration;

trait Keepalive {
    fn set_keepalive(&self, idle: Option<Duration>) -> io::Result<()>;
    fn keepalive(&self) -> io::Result<Option<Duration>>;
}

impl Keepalive for TcpStream {
    fn set_keepalive(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn keepalive(&self) -> io::Result<Option<Duration>> {
        Ok(None)
    }
}

pub fn enable(stream: &TcpStream, idle: Duration) -> io::Result<Option<Duration>> {
    stream.set_keepalive(Some(idle))?;
    stream.keepalive()
}
