//! Does not compile with any std, as crates of long ago do not.

pub fn enable(stream: &std::net::TcpStream) {
    stream.there_is_no_such_method();
}
