/// Heads that are not HTTP, or that two servers could interpret differently, for any port.
pub(super) fn all(path: &str) -> Vec<(Vec<u8>, &'static [u16])> {
    let mut inputs: Vec<(Vec<u8>, &'static [u16])> = Vec::new();
    let head = |line: &str, headers: &str| format!("{line}\r\n{headers}\r\n").into_bytes();
    for line in [
        "GET",
        "GET /",
        "GET / HTTP",
        "GET / HTTP/9.9",
        "GET / HTTP/1.1 x",
        " GET / HTTP/1.1",
        "GET\t/\tHTTP/1.1",
        "G\0T / HTTP/1.1",
        "GET /\0 HTTP/1.1",
        "GET / http/1.1",
        "<script>",
        "\u{16}\u{3}\u{1}\0\u{1}",
        "SSH-2.0-x",
        "GET http:// HTTP/1.1",
        "GET /\u{7f} HTTP/1.1",
        "* * *",
    ] {
        inputs.push((head(line, "host: a\r\n"), &[400, 0]));
    }
    let line = format!("GET {path} HTTP/1.1");
    for headers in [
        "",
        "host: a\r\nhost: a\r\n",
        "host: a\r\nhost: b\r\n",
        "host\r\n",
        "host : a\r\n",
        ": a\r\n",
        "host: a\r\n x: y\r\n",
        "host: a\r\nx y: z\r\n",
        "host: a\r\nx\0y: z\r\n",
        "host: a\r\nx: \0\r\n",
        "host: a\r\ncontent-length: -1\r\n",
        "host: a\r\ncontent-length: x\r\n",
        "host: a\r\ncontent-length: +1\r\n",
        "host: a\r\ncontent-length: 99999999999999999999\r\n",
        "host: a\r\ncontent-length: 1, 2\r\n",
        "host: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n",
        "host: a\r\ntransfer-encoding: chunked, chunked\r\n",
        "host: a\r\ntransfer-encoding: gzip\r\n",
        "host: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
    ] {
        inputs.push((head(&line, headers), &[400, 0]));
    }
    let many = |count: usize| (0..count).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    for headers in [many(64), many(127), many(1_000), format!("x: {}\r\n", "y".repeat(17 << 10))] {
        inputs.push((head(&line, &format!("host: a\r\n{headers}")), &[431]));
    }
    inputs.push((head(&line, "host: http://a\r\norigin: https://b\r\n"), &[200, 400, 403, 404, 426]));
    inputs.push((head(&format!("GET http://b{path} HTTP/1.1"), "host: a\r\n"), &[400]));
    inputs
}
