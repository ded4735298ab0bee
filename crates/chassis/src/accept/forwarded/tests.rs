use http::HeaderValue;

use super::*;

const PEER: &str = "10.0.0.1";

/// The client of a request with these headers from a trusted proxy, beside which 10.0.0.0/8 and fd00::/8 are trusted.
fn told(headers: &[(&'static str, &str)]) -> String {
    let proxies = Networks::parse(&["10.0.0.0/8".to_owned(), "fd00::/8".to_owned()]).unwrap();
    let mut all = HeaderMap::new();
    for (name, value) in headers {
        all.append(*name, HeaderValue::from_str(value).unwrap());
    }
    client(&all, PEER.parse().unwrap(), &proxies).to_string()
}

#[track_caller]
fn check_list(lines: &[&str], client: &str) {
    let headers: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
    assert_eq!(told(&headers), client, "X-Forwarded-For: {lines:?}");
}

#[track_caller]
fn check(lines: &[&str], client: &str) {
    let headers: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
    assert_eq!(told(&headers), client, "Forwarded: {lines:?}");
}

#[test]
fn the_nearest_hop_that_is_not_trusted_is_the_client() {
    check_list(&["192.0.2.7"], "192.0.2.7");
    check_list(&["198.51.100.1, 192.0.2.7"], "192.0.2.7");
    check_list(&["198.51.100.1, 192.0.2.7, 10.9.9.9,10.8.8.8"], "192.0.2.7");
    check_list(&["198.51.100.1", "192.0.2.7", "10.9.9.9"], "192.0.2.7");
    check_list(&["192.0.2.7, fd00::5"], "192.0.2.7");
    check_list(&["10.2.2.2, 10.3.3.3"], "10.2.2.2");
    check(&["for=192.0.2.7"], "192.0.2.7");
    check(&["for=198.51.100.1, for=192.0.2.7;proto=https;by=10.1.1.1, for=10.1.1.1"], "192.0.2.7");
    check(&["for=198.51.100.1", "for=192.0.2.7", "for=10.9.9.9"], "192.0.2.7");
    check(&["for=10.2.2.2, for=10.3.3.3"], "10.2.2.2");
    assert_eq!(told(&[]), PEER);
}

#[test]
fn nodes_have_ports_brackets_and_quotes() {
    check_list(&["192.0.2.7:4711"], "192.0.2.7");
    check_list(&["2001:db8::17"], "2001:db8::17");
    check_list(&["[2001:db8::17]"], "2001:db8::17");
    check_list(&["[2001:db8::17]:4711"], "2001:db8::17");
    check_list(&["::ffff:192.0.2.7"], "192.0.2.7");
    check_list(&["192.0.2.7, ::ffff:10.1.2.3"], "192.0.2.7");
    check_list(&[" ,192.0.2.7 , "], "192.0.2.7");
    check(&[r#"For="[2001:db8:cafe::17]:4711""#], "2001:db8:cafe::17");
    check(&[r#"for="192.0.2.7:4711""#], "192.0.2.7");
    check(&[r#"for="192.0.2.7:_port""#], "192.0.2.7");
    check(&["for=192.0.2.7:4711"], "192.0.2.7");
    check(&["for=[2001:db8::17]:4711;proto=https"], "2001:db8::17");
    check(&[r#"for="\1\9\2.0.2.7""#], "192.0.2.7");
    check(&[r#"host="a,b;for=1.2.3.4\"";for=192.0.2.7"#], "192.0.2.7");
    check(&["proto=https ; for=192.0.2.7 , ;, "], "192.0.2.7");
}

#[test]
fn a_hop_that_hides_its_address_leaves_the_peer() {
    for hidden in ["unknown", "Unknown", "_hidden", "_SEVKISEK"] {
        check_list(&[hidden], PEER);
        check(&[&format!("for={hidden}")], PEER);
        check(&[&format!("for=198.51.100.1, for={hidden}, for=10.9.9.9")], PEER);
        // what is behind the client is not of interest
        check(&[&format!("for={hidden}, for=192.0.2.7")], "192.0.2.7");
    }
    check(&["proto=https"], PEER);
    check(&["for=198.51.100.1, by=10.1.1.1"], PEER);
    check(&["for=\"_gazonk:_4711\""], PEER);
}

#[test]
fn a_malformed_header_leaves_the_peer() {
    for node in [
        "x",
        "192.0.2",
        "192.0.2.7:",
        "192.0.2.7:x",
        "192.0.2.7:65536",
        "192.0.2.7:+80",
        "[2001:db8::17",
        "[2001:db8::17]4711",
        "[192.0.2.7]",
        "fe80::1%eth0",
        "192.0.2.7 198.51.100.1",
    ] {
        check_list(&[node], PEER);
        check(&[&format!("for=\"{node}\"")], PEER);
    }
    for line in [
        "192.0.2.7",
        "for",
        "for=",
        "=192.0.2.7",
        "for =192.0.2.7",
        "for= 192.0.2.7",
        r#"for="192.0.2.7"#,
        r#"for="192.0.2.7"x"#,
        r#"for=192.0.2.7""#,
        r#"for="192.0.2.7\"#,
        "for=192.0.2.7 proto=https",
        "for=192.0.2.7;for=198.51.100.1",
    ] {
        check(&[line], PEER);
    }
    let bytes = HeaderValue::from_bytes(b"192.0.2.7, \xff").unwrap();
    let headers = HeaderMap::from_iter([(X_FORWARDED_FOR, bytes)]);
    assert_eq!(client(&headers, PEER.parse().unwrap(), &Networks::default()).to_string(), PEER);
}

/// What a client sends comes first, and what its proxy adds comes last: no beginning may hide or change the end.
#[test]
fn a_client_cannot_name_another_address() {
    for added in ["for=192.0.2.7", r#"for="192.0.2.7:4711""#, r#"for="[2001:db8::7]";proto=https"#] {
        for sent in [
            r#"for="198.51.100.1"#,
            r#"for=198.51.100.1;x="#,
            r#"for=198.51.100.1;x=""#,
            r#"for=198.51.100.1;x="\"#,
            "for=198.51.100.1, for=",
            "for=198.51.100.1;",
            "for=198.51.100.1,",
            "for=198.51.100.1",
        ] {
            for line in [format!("{sent}, {added}"), format!("{sent},{added}")] {
                let client = told(&[("forwarded", &line)]);
                assert!([PEER, "192.0.2.7", "2001:db8::7"].contains(&client.as_str()), "{line}: {client}");
            }
        }
    }
}

#[test]
fn a_way_of_too_many_hops_leaves_the_peer() {
    let way = |hop: &str, count: usize| vec![hop; count].join(",");
    check_list(&[&way("192.0.2.7", MAX_HOPS)], "192.0.2.7");
    check_list(&[&way("192.0.2.7", MAX_HOPS + 1)], PEER);
    check(&[&way("for=192.0.2.7", MAX_HOPS)], "192.0.2.7");
    check(&[&way("for=192.0.2.7", MAX_HOPS), "for=192.0.2.7"], PEER);
}

/// A proxy that sets one of them leaves the other as the client sent it.
#[test]
fn both_headers_must_name_the_same_client() {
    let both = |forwarded, list| told(&[("forwarded", forwarded), ("x-forwarded-for", list)]);
    assert_eq!(both("for=192.0.2.7", "192.0.2.7"), "192.0.2.7");
    assert_eq!(both("for=192.0.2.7, for=10.9.9.9", "198.51.100.1, 192.0.2.7"), "192.0.2.7");
    assert_eq!(both("for=198.51.100.1", "192.0.2.7"), PEER);
    assert_eq!(both("for=192.0.2.7", "198.51.100.1"), PEER);
    assert_eq!(both("nonsense", "192.0.2.7"), PEER);
    assert_eq!(both("for=192.0.2.7", "nonsense"), PEER);
    assert_eq!(both("for=_hidden", "192.0.2.7"), PEER);
}
