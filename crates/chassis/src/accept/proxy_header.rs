//! The header of the PROXY protocol, version 2 (haproxy's `doc/proxy-protocol.txt`, §2.2).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, version and command, family and transport, and the length of the rest.
const FIXED_BYTES: usize = 16;

/// The most bytes of the rest: addresses, and a few hundred bytes that balancers add, such as the names in a certificate.
const MAX_REST: usize = 4 << 10;

/// Addresses and ports of TCP over IPv4, and over IPv6.
const FOUR_BYTES: usize = 12;
const SIX_BYTES: usize = 36;

#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    #[error("no header of the PROXY protocol, version 2")]
    Malformed,
    #[error("the connection ended within its header")]
    Ended(#[source] io::Error),
}

/// What a header tells of the client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Nothing: the proxy connects for itself (LOCAL), or its client has no address (a Unix socket).
    Peer,
    Four,
    Six,
}

/// Reads the header, and not a byte more. `None`: the peer itself is the client.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<IpAddr>, HeaderError> {
    let (source, mut rest) = parse(&fixed(stream).await?).ok_or(HeaderError::Malformed)?;
    let mut addresses = [0; SIX_BYTES];
    let own = &mut addresses[..source.bytes()];
    stream.read_exact(own).await.map_err(HeaderError::Ended)?;
    rest -= own.len();
    let mut skipped = [0; 256];
    while rest > 0 {
        let part = rest.min(skipped.len());
        rest -= stream.read_exact(&mut skipped[..part]).await.map_err(HeaderError::Ended)?;
    }
    Ok(source.address(&addresses))
}

/// What is no header is noticed at its first wrong byte: the rest of it may never come.
async fn fixed(stream: &mut (impl AsyncRead + Unpin)) -> Result<[u8; FIXED_BYTES], HeaderError> {
    let (mut head, mut filled) = ([0; FIXED_BYTES], 0);
    while filled < FIXED_BYTES {
        let read = stream.read(&mut head[filled..]).await.map_err(HeaderError::Ended)?;
        if read == 0 {
            return Err(HeaderError::Ended(io::ErrorKind::UnexpectedEof.into()));
        }
        filled += read;
        let signed = filled.min(SIGNATURE.len());
        if head[..signed] != SIGNATURE[..signed] {
            return Err(HeaderError::Malformed);
        }
    }
    Ok(head)
}

/// The source, and the length of the rest. `None`: the header is malformed.
fn parse(head: &[u8; FIXED_BYTES]) -> Option<(Source, usize)> {
    let rest = usize::from(u16::from_be_bytes([head[14], head[15]]));
    let (version, command) = (head[12] >> 4, head[12] & 0xf);
    let (family, transport) = (head[13] >> 4, head[13] & 0xf);
    let source = match (command, family, transport) {
        (0, _, _) => Source::Peer,
        (1, 1, 1 | 2) => Source::Four,
        (1, 2, 1 | 2) => Source::Six,
        (1, 0..=3, 0..=2) => Source::Peer,
        _ => return None,
    };
    (version == 2 && (source.bytes()..=MAX_REST).contains(&rest)).then_some((source, rest))
}

impl Source {
    const fn bytes(self) -> usize {
        match self {
            Self::Peer => 0,
            Self::Four => FOUR_BYTES,
            Self::Six => SIX_BYTES,
        }
    }

    /// The first of the two addresses.
    fn address(self, addresses: &[u8; SIX_BYTES]) -> Option<IpAddr> {
        match self {
            Self::Peer => None,
            Self::Four => addresses.first_chunk().map(|four: &[u8; 4]| Ipv4Addr::from(*four).into()),
            Self::Six => addresses.first_chunk().map(|six: &[u8; 16]| Ipv6Addr::from(*six).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP4: u8 = 0x11;
    const TCP6: u8 = 0x21;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    /// From 192.0.2.7:4711 to 10.0.0.1:443.
    const FOUR: [u8; FOUR_BYTES] = [192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 0x01, 0xbb];

    /// From `2001:db8::7` to `::1`.
    fn six() -> [u8; SIX_BYTES] {
        let mut six = [0; SIX_BYTES];
        (six[0], six[1], six[2], six[3], six[15], six[31]) = (0x20, 0x01, 0x0d, 0xb8, 7, 1);
        six
    }

    /// The address and what is left to read, or what the error says.
    async fn outcome(bytes: &[u8]) -> Result<(Option<String>, Vec<u8>), String> {
        let mut stream = bytes;
        let address = read(&mut stream).await.map_err(|error| error.to_string())?;
        Ok((address.map(|address| address.to_string()), stream.to_vec()))
    }

    #[track_caller]
    fn check(outcome: Result<(Option<String>, Vec<u8>), String>, address: Option<&str>) {
        assert_eq!(outcome, Ok((address.map(str::to_owned), b"GET".to_vec())));
    }

    fn then_get(header: Vec<u8>) -> Vec<u8> {
        [header, b"GET".to_vec()].concat()
    }

    #[tokio::test]
    async fn the_source_is_the_client_and_what_follows_is_left() {
        check(outcome(&then_get(header(0x21, TCP4, &FOUR))).await, Some("192.0.2.7"));
        check(outcome(&then_get(header(0x21, TCP6, &six()))).await, Some("2001:db8::7"));
        let tlvs = [&FOUR[..], &[0x04, 0x02, 0x00], &[0; 0x200]].concat();
        check(outcome(&then_get(header(0x21, TCP4, &tlvs))).await, Some("192.0.2.7"));
        let longest = [&FOUR[..], &vec![0; MAX_REST - FOUR_BYTES]].concat();
        check(outcome(&then_get(header(0x21, TCP4, &longest))).await, Some("192.0.2.7"));
    }

    #[tokio::test]
    async fn a_header_without_addresses_leaves_the_peer() {
        // LOCAL, whatever else it says
        check(outcome(&then_get(header(0x20, 0, &[]))).await, None);
        check(outcome(&then_get(header(0x20, TCP4, &FOUR))).await, None);
        check(outcome(&then_get(header(0x20, 0xff, &[1, 2, 3]))).await, None);
        // UNSPEC, a Unix socket, and an IPv4 address of no transport
        check(outcome(&then_get(header(0x21, 0, &[0; 5]))).await, None);
        check(outcome(&then_get(header(0x21, 0x31, &[b'x'; 216]))).await, None);
        check(outcome(&then_get(header(0x21, 0x10, &FOUR))).await, None);
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused_at_its_first_wrong_byte() {
        let malformed = Err("no header of the PROXY protocol, version 2".to_owned());
        let mut wrong = SIGNATURE.to_vec();
        wrong[11] = b'x';
        for bytes in [
            b"G".to_vec(),
            b"\r\n\r\nG".to_vec(),
            b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n".to_vec(),
            wrong,
            header(0x11, TCP4, &FOUR),
            header(0x22, TCP4, &FOUR),
            header(0x21, 0x41, &FOUR),
            header(0x21, 0x13, &FOUR),
            header(0x21, TCP4, &FOUR[1..]),
            header(0x21, TCP6, &six()[1..]),
            header(0x21, TCP4, &vec![0; MAX_REST + 1]),
            header(0x20, 0, &vec![0; MAX_REST + 1]),
        ] {
            assert_eq!(outcome(&bytes).await, malformed, "{bytes:02x?}");
        }
    }

    #[tokio::test]
    async fn a_header_that_ends_too_early_is_no_header() {
        let whole = header(0x21, TCP4, &[&FOUR[..], &[0; 300]].concat());
        for length in 0..whole.len() {
            let error = outcome(&whole[..length]).await.unwrap_err();
            assert_eq!(error, "the connection ended within its header", "{length} bytes");
        }
    }
}
