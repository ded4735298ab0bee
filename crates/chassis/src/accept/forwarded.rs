//! The client's address, as told by proxies in `Forwarded` (RFC 7239) and `X-Forwarded-For`.

use std::net::IpAddr;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};

use super::networks::Networks;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The most hops of a header. A way through more proxies is a client's invention.
const MAX_HOPS: usize = 32;

/// The hops of a header, the nearest last; `None` for one whose address is not told.
type Hops = Vec<Option<IpAddr>>;

/// The client of a request from the trusted proxy `peer`: the nearest hop that is not a trusted proxy itself, or the first
/// hop, if all of them are.
///
/// It is `peer` where that cannot be told: if there is no header, one that is malformed or too long, or one whose nearest
/// untrusted hop hides its address. With both headers they must name the same client, since a proxy that sets one of them
/// passes on the other as the client sent it.
pub(super) fn client(headers: &HeaderMap, peer: IpAddr, proxies: &Networks) -> IpAddr {
    let mut told = None;
    for (name, read) in [(FORWARDED, elements as fn(&str, &mut Hops) -> Option<()>), (X_FORWARDED_FOR, list)]
    {
        if !headers.contains_key(&name) {
            continue;
        }
        let Some(client) = hops(headers, &name, read).and_then(|hops| nearest(&hops, proxies)) else {
            return peer;
        };
        if told.replace(client).is_some_and(|other| other != client) {
            return peer;
        }
    }
    told.unwrap_or(peer)
}

/// The hops of all lines of a header; `None` if one is malformed.
fn hops(headers: &HeaderMap, name: &HeaderName, read: fn(&str, &mut Hops) -> Option<()>) -> Option<Hops> {
    let mut hops = Hops::new();
    for line in headers.get_all(name) {
        read(line.to_str().ok()?, &mut hops)?;
    }
    Some(hops)
}

fn nearest(hops: &Hops, proxies: &Networks) -> Option<IpAddr> {
    for hop in hops.iter().rev() {
        let address = (*hop)?;
        if !proxies.contains(address) {
            return Some(address);
        }
    }
    hops.first().copied().flatten()
}

fn push(hops: &mut Hops, hop: Option<IpAddr>) -> Option<()> {
    hops.push(hop);
    (hops.len() <= MAX_HOPS).then_some(())
}

/// `X-Forwarded-For`: nodes with commas between them.
fn list(line: &str, hops: &mut Hops) -> Option<()> {
    for text in line.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        push(hops, node(text)?)?;
    }
    Some(())
}

/// `Forwarded`: elements with commas between them, each of pairs with semicolons between them, of which `for` is the node.
fn elements(line: &str, hops: &mut Hops) -> Option<()> {
    let mut rest = line;
    loop {
        let (mut hop, mut is_empty) = (None, true);
        loop {
            rest = rest.trim_start();
            if !rest.is_empty() && !rest.starts_with([',', ';']) {
                let (name, value);
                (name, value, rest) = pair(rest)?;
                is_empty = false;
                if name.eq_ignore_ascii_case("for") && hop.replace(node(&value)?).is_some() {
                    return None;
                }
            }
            let Some(next) = rest.strip_prefix(';') else { break };
            rest = next;
        }
        if !is_empty {
            push(hops, hop.flatten())?;
        }
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return rest.is_empty().then_some(()),
        }
    }
}

/// `name=value` with what follows it, which is a separator or nothing.
fn pair(text: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = text.split_once('=')?;
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return None;
    }
    let (value, rest) = match rest.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None => {
            // RFC 7239 wants quotes around ports and brackets; not every proxy writes them
            let end = rest.find([',', ';', '"', ' ', '\t']).unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        }
    };
    let rest = rest.trim_start();
    (rest.is_empty() || rest.starts_with([',', ';'])).then_some((name, value, rest))
}

/// The rest of a quoted string (RFC 9110 §5.6.4), with what follows it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let (mut value, mut characters) = (String::new(), text.char_indices());
    loop {
        match characters.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => value.push(characters.next()?.1),
            (_, plain) => value.push(plain),
        }
    }
}

/// The address of a node, with or without its port: `Some(None)` if it is hidden (RFC 7239 §6), `None` if it is malformed.
fn node(text: &str) -> Option<Option<IpAddr>> {
    if text.eq_ignore_ascii_case("unknown") || text.starts_with('_') {
        return Some(None);
    }
    let address = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (address, port) = bracketed.split_once(']')?;
            let has_port = port.strip_prefix(':').map_or(port.is_empty(), is_port);
            address.parse().ok().filter(|_| has_port).map(IpAddr::V6)
        }
        // without brackets there is no telling an IPv6 address from its port
        None => text.parse().ok().or_else(|| {
            let (address, port) = text.split_once(':')?;
            address.parse().ok().filter(|_| is_port(port)).map(IpAddr::V4)
        }),
    };
    Some(Some(address?.to_canonical()))
}

/// A number, or an obfuscated port.
fn is_port(text: &str) -> bool {
    text.starts_with('_') || text.parse::<u16>().is_ok_and(|_| !text.starts_with('+'))
}

#[cfg(test)]
mod tests;
