//! Requests to a running service, over a plain socket.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

/// For one answer of a service on this machine.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Between two attempts to follow.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// Whether the admin port says that the service is ready.
pub(crate) fn is_ready(admin_port: u16) -> bool {
    get(admin_port, "/readyz").is_ok_and(|(status, _)| status == 200)
}

/// A metric without labels of the service behind an admin port.
pub(crate) fn metric(admin_port: u16, name: &str) -> Result<f64> {
    let (status, text) = get(admin_port, "/metrics")?;
    ensure!(status == 200, "/metrics answers {status}");
    value(&text, name).with_context(|| format!("there is no metric {name}"))
}

fn value(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

fn get(port: u16, path: &str) -> Result<(u16, String)> {
    let mut socket = connect(port)?;
    write!(socket, "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")?;
    let mut answer = BufReader::new(socket);
    let status = status(&mut answer)?;
    let mut body = String::new();
    answer.read_to_string(&mut body)?;
    Ok((status, body))
}

/// Follows everything like the page, with retries, and returns at the first reading.
pub(crate) fn await_event(gateway_port: u16, within: Duration) -> Result<()> {
    let until = Instant::now() + within;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match follow(gateway_port, left.max(RETRY_AFTER)) {
            Err(_) if left > RETRY_AFTER => sleep(RETRY_AFTER),
            ended => return ended,
        }
    }
}

fn follow(gateway_port: u16, within: Duration) -> Result<()> {
    let mut socket = connect(gateway_port)?;
    // any 16 bytes in base64 will do as a key
    let request = "GET /ws/sensors/ HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: cm93Y2FzdCBvZiB4dGFzaw==\r\n\r\n";
    socket.write_all(request.as_bytes())?;
    socket.set_read_timeout(Some(within))?;
    let mut socket = BufReader::new(socket);
    let status = status(&mut socket)?;
    ensure!(status == 101, "the gateway answers {status}");
    loop {
        if frame(&mut socket)?.is_some_and(|text| text.contains("sensor_id")) {
            return Ok(());
        }
    }
}

fn connect(port: u16) -> Result<TcpStream> {
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_read_timeout(Some(ANSWER_WITHIN))?;
    Ok(socket)
}

/// Reads the head of an answer and gives its status.
fn status(answer: &mut impl BufRead) -> Result<u16> {
    let mut line = String::new();
    answer.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.with_context(|| format!("no HTTP status in {line:?}"))?;
    while !line.trim().is_empty() {
        line.clear();
        answer.read_line(&mut line)?;
    }
    Ok(status)
}

/// Reads a frame of a server, which is never masked; gives its text if it is one.
fn frame(socket: &mut impl Read) -> Result<Option<String>> {
    const TEXT: u8 = 1;
    let mut head = [0; 2];
    socket.read_exact(&mut head)?;
    let length = match head[1] & 0x7f {
        126 => u64::from(u16::from_be_bytes(exactly(socket)?)),
        127 => u64::from_be_bytes(exactly(socket)?),
        length => u64::from(length),
    };
    let mut payload = Vec::new();
    socket.take(length).read_to_end(&mut payload)?;
    ensure!(payload.len() as u64 == length, "the gateway closed the socket");
    Ok((head[0] & 0x0f == TEXT).then(|| String::from_utf8_lossy(&payload).into_owned()))
}

fn exactly<const N: usize>(socket: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    socket.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_status_is_read_with_its_whole_head() {
        let mut answer: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\na: b\r\n\r\nrest";
        assert_eq!(status(&mut answer).unwrap(), 503);
        assert_eq!(answer, b"rest");
    }

    #[test]
    fn a_gateway_that_has_no_feed_yet_is_asked_again() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let gateway = std::thread::spawn(move || {
            for answer in ["HTTP/1.1 503 x\r\n\r\n", "HTTP/1.1 101 x\r\n\r\n\u{1}\u{b}\"sensor_id\""] {
                let (mut socket, _) = listener.accept().unwrap();
                let asked = socket.read(&mut [0; 1024]).unwrap();
                assert!(asked > 0);
                socket.write_all(answer.as_bytes()).unwrap();
            }
        });
        await_event(port, Duration::from_secs(10)).unwrap();
        gateway.join().unwrap();
    }

    #[test]
    fn frames_of_every_length_are_read() {
        let long = "x".repeat(70_000);
        let mut bytes = vec![0x81, 2, b'h', b'i', 0x89, 0, 0x81, 126, 1, 0];
        bytes.extend(&long.as_bytes()[..256]);
        bytes.extend([0x81, 127]);
        bytes.extend(70_000_u64.to_be_bytes());
        bytes.extend(long.as_bytes());
        let mut bytes = bytes.as_slice();
        assert_eq!(frame(&mut bytes).unwrap().as_deref(), Some("hi"));
        assert_eq!(frame(&mut bytes).unwrap(), None);
        assert_eq!(frame(&mut bytes).unwrap().map(|text| text.len()), Some(256));
        assert_eq!(frame(&mut bytes).unwrap(), Some(long));
        assert!(frame(&mut bytes).is_err());
    }
}
