//! Listening sockets: several on one port (SO_REUSEPORT), among which the kernel spreads connections by their addresses.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel keeps ready per socket. It may cap this itself (net.core.somaxconn).
const BACKLOG: i32 = 4096;

/// Opens `count` sockets on `address`; the first decides the port where it is 0.
pub(super) fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    if address.port() != 0 {
        refuse_shared_port(address)?;
    }
    let first = open(address, true)?;
    let bound = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..count {
        sockets.push(open(bound, true)?);
    }
    Ok(sockets)
}

/// A second broker on this machine could join the port unseen and take half of the connections. A socket that does not
/// share finds it.
fn refuse_shared_port(address: SocketAddr) -> io::Result<()> {
    open(address, false).map(drop)
}

fn open(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn sockets_share_the_port_that_the_first_got() {
        let sockets = bind((Ipv4Addr::LOCALHOST, 0).into(), 3).unwrap();
        let port = sockets[0].local_addr().unwrap().port();
        assert_ne!(port, 0);
        assert!(sockets.iter().all(|socket| socket.local_addr().unwrap().port() == port));
    }

    #[test]
    fn a_second_server_does_not_join_in_silence() {
        let sockets = bind((Ipv4Addr::LOCALHOST, 0).into(), 2).unwrap();
        let error = bind(sockets[0].local_addr().unwrap(), 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
