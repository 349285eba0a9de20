//! Listening sockets: several on one port (SO_REUSEPORT), among which the kernel spreads connections by their addresses.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel keeps ready per socket. It may cap this itself (net.core.somaxconn).
const BACKLOG: i32 = 4096;

/// Opens `count` sockets on `address`; the first decides the port where it is 0.
///
/// The first is bound alone and shares its port only then. Were it to share from the start, it would join another broker on
/// this machine unseen and take half of its connections, and port 0 could give a port that is taken.
pub(super) fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    let first = open(address)?;
    first.set_reuse_address(address.port() != 0)?;
    first.bind(&address.into())?;
    first.set_reuse_port(true)?;
    let mut sockets = vec![listen(first)?];
    let bound = sockets[0].local_addr()?;
    for _ in 1..count {
        let socket = open(bound)?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind(&bound.into())?;
        sockets.push(listen(socket)?);
    }
    Ok(sockets)
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn listen(socket: Socket) -> io::Result<TcpListener> {
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
        let address = sockets[0].local_addr().unwrap();
        assert_eq!(bind(address, 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(sockets);
        assert!(bind(address, 2).is_ok(), "the port is free once they are gone");
    }
}
