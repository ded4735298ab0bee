//! Sockets that listen.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use tokio::net::{TcpListener, TcpSocket};
use tracing::info;

/// Connections that may wait to be accepted, as far as the kernel allows (`net.core.somaxconn`): when a gateway dies its
/// clients connect to the others at once, and a SYN that finds the queue full is retried only after a second.
const BACKLOG: u32 = 8_192;

/// Binds the public port.
///
/// # Errors
/// When the address is in use or not a local one; the message names it.
pub async fn bind(addr: SocketAddr) -> anyhow::Result<TcpListener> {
    listen("public", addr).await
}

pub(crate) async fn listen(port: &'static str, addr: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = open(addr).with_context(|| format!("the {port} port cannot listen on {addr}"))?;
    // The bound address, not the configured one: with port 0 they differ, and this line is where to read it.
    let addr = listener.local_addr().context("the bound address")?;
    info!(port, %addr, "listening");
    Ok(listener)
}

fn open(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let (socket, addr) = match addr {
        SocketAddr::V4(_) => (TcpSocket::new_v4()?, addr),
        // `[::]` accepts both families; a kernel without IPv6 accepts IPv4 alone
        SocketAddr::V6(six) => match TcpSocket::new_v6() {
            Err(_) if six.ip().is_unspecified() => {
                (TcpSocket::new_v4()?, (Ipv4Addr::UNSPECIFIED, six.port()).into())
            }
            socket => (socket?, addr),
        },
    };
    // a restart need not wait for the last connections of the one before
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}
