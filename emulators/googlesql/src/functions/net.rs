//! NET.*: addresses as bytes, hosts and registered domains of URLs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::functions::args::{bytes, fail, int, string};
use crate::functions::{ScalarFunction, entry};
use crate::value::Value;

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!("net_functions", "net.host", "NET.HOST", Propagate, ["(STRING) -> STRING"], |_, args| {
        Ok(text(host(string(args, 0)?)))
    }),
    entry!("net_functions", "net.public_suffix", "NET.PUBLIC_SUFFIX", Propagate, ["(STRING) -> STRING"], |_, args| {
        Ok(text(host(string(args, 0)?).and_then(|host| domain(host, 0))))
    }),
    entry!("net_functions", "net.reg_domain", "NET.REG_DOMAIN", Propagate, ["(STRING) -> STRING"], |_, args| {
        Ok(text(host(string(args, 0)?).and_then(|host| domain(host, 1))))
    }),
    entry!("net_functions", "net.ip_from_string", "NET.IP_FROM_STRING", Propagate, ["(STRING) -> BYTES"], |_, args| {
        let written = string(args, 0)?;
        match parsed(written) {
            Some(bytes) => Ok(Value::bytes(bytes)),
            None => fail(format!("NET.IP_FROM_STRING() encountered an unparseable IP-address: {written}")),
        }
    }),
    entry!(
        "net_functions",
        "net.safe_ip_from_string",
        "NET.SAFE_IP_FROM_STRING",
        Propagate,
        ["(STRING) -> BYTES"],
        |_, args| Ok(parsed(string(args, 0)?).map_or(Value::Null, Value::bytes))
    ),
    entry!("net_functions", "net.ip_to_string", "NET.IP_TO_STRING", Propagate, ["(BYTES) -> STRING"], |_, args| {
        let address = bytes(args, 0)?;
        if let Ok(four) = <[u8; 4]>::try_from(address) {
            return Ok(Value::string(Ipv4Addr::from(four).to_string()));
        }
        match <[u8; 16]>::try_from(address) {
            Ok(sixteen) => Ok(Value::string(Ipv6Addr::from(sixteen).to_string())),
            Err(_) => fail(format!(
                "NET.IP_TO_STRING() encountered an invalid IP address. Expected 4 (for IPv4) or 16 (for IPv6) bytes but \
                 got {}",
                address.len()
            )),
        }
    }),
    entry!("net_functions", "net.ip_net_mask", "NET.IP_NET_MASK", Propagate, ["(INT64, INT64) -> BYTES"], |_, args| {
        let (size, prefix) = (int(args, 0)?, int(args, 1)?);
        if size != 4 && size != 16 {
            return fail(format!("The first argument of NET.IP_NET_MASK() must be either 4 or 16; got {size}"));
        }
        if !(0..=size * 8).contains(&prefix) {
            return fail(format!(
                "The second argument of NET.IP_NET_MASK() must be between 0 and 8 * first argument; got {prefix}"
            ));
        }
        Ok(Value::bytes(mask(size as usize, prefix)))
    }),
    entry!("net_functions", "net.ip_trunc", "NET.IP_TRUNC", Propagate, ["(BYTES, INT64) -> BYTES"], |_, args| {
        let (address, prefix) = (bytes(args, 0)?, int(args, 1)?);
        if address.len() != 4 && address.len() != 16 {
            return fail(format!(
                "NET.IP_TRUNC() encountered an invalid IP address. Expected 4 (for IPv4) or 16 (for IPv6) bytes but got {}",
                address.len()
            ));
        }
        if !(0..=address.len() as i64 * 8).contains(&prefix) {
            return fail(format!(
                "The second argument of NET.IP_TRUNC() must be between 0 and 8 * LENGTH(first argument); got {prefix}"
            ));
        }
        let kept = address.iter().zip(mask(address.len(), prefix)).map(|(byte, mask)| byte & mask);
        Ok(Value::bytes(kept.collect::<Vec<u8>>()))
    }),
    entry!(
        "net_functions",
        "net.ipv4_from_int64",
        "NET.IPV4_FROM_INT64",
        Propagate,
        ["(INT64) -> BYTES"],
        |_, args| {
            let number = int(args, 0)?;
            // Signed 32-bit numbers count too.
            if !(-0x8000_0000..=0xFFFF_FFFF).contains(&number) {
                return fail(format!("NET.IPV4_FROM_INT64 argument out of range: {number}"));
            }
            Ok(Value::bytes((number as u32).to_be_bytes()))
        }
    ),
    entry!("net_functions", "net.ipv4_to_int64", "NET.IPV4_TO_INT64", Propagate, ["(BYTES) -> INT64"], |_, args| {
        let address = bytes(args, 0)?;
        match <[u8; 4]>::try_from(address) {
            Ok(four) => Ok(Value::Int64(i64::from(u32::from_be_bytes(four)))),
            Err(_) => fail(format!(
                "NET.IPV4_TO_INT64() encountered a non-IPv4 address. Expected 4 bytes but got {}",
                address.len()
            )),
        }
    }),
];

fn text(text: Option<&str>) -> Value {
    text.map_or(Value::Null, Value::string)
}

fn parsed(text: &str) -> Option<Vec<u8>> {
    match text.parse::<IpAddr>().ok()? {
        IpAddr::V4(address) => Some(address.octets().to_vec()),
        IpAddr::V6(address) => Some(address.octets().to_vec()),
    }
}

fn mask(size: usize, prefix: i64) -> Vec<u8> {
    (0..size as i64)
        .map(|index| match (prefix - index * 8).clamp(0, 8) {
            0 => 0,
            bits => 0xFFu8 << (8 - bits),
        })
        .collect()
}

/// The host as it is written; `None` where the URL has none.
fn host(url: &str) -> Option<&str> {
    let url = url.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
    // A scheme counts only in front of `//`; without it the text begins with the host.
    let rest = match url.split_once("//") {
        Some((before, rest)) if before.is_empty() || is_scheme(before) => rest,
        _ => url,
    };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    // Colons inside brackets belong to the address; an open bracket has no end.
    let inside = match host.strip_prefix('[') {
        Some(inner) => inner.find(']').map_or(host.len(), |end| end + 2),
        None => 0,
    };
    let port = host.get(inside..).and_then(|behind| behind.find(':')).map_or(host.len(), |at| inside + at);
    let host = host.get(..port)?.trim_start_matches('.');
    (!host.is_empty()).then_some(host)
}

fn is_scheme(text: &str) -> bool {
    let Some(name) = text.strip_suffix(':') else { return false };
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// The host's public suffix with `more` labels before it, as the host spells them.
fn domain(host: &str, more: usize) -> Option<&str> {
    let whole = host.trim_start_matches('.');
    let host = whole.trim_end_matches('.');
    if host.is_empty() || host.starts_with('[') || host.parse::<IpAddr>().is_ok() {
        return None;
    }
    let lower = host.to_lowercase().replace(['\u{3002}', '\u{ff0e}', '\u{ff61}'], ".");
    let labels = suffix_labels(&lower)? + more;
    let all: Vec<usize> = host
        .char_indices()
        .filter(|(_, c)| matches!(c, '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}'))
        .map(|(at, c)| at + c.len_utf8())
        .collect();
    if labels > all.len() + 1 {
        return None;
    }
    let from = match all.len().checked_sub(labels) {
        Some(index) => *all.get(index)?,
        None => 0,
    };
    let found = host.get(from..)?;
    // One dot at the end is the root's.
    let end = host.len() + usize::from(whole.len() > host.len());
    (!found.starts_with('.') && !found.contains("..")).then(|| whole.get(from..end)).flatten()
}

/// How many labels the suffix has that registries (not private owners) delegate under.
fn suffix_labels(host: &str) -> Option<usize> {
    let mut rest = host.to_owned();
    loop {
        let suffix = psl::suffix(rest.as_bytes())?;
        let known = std::str::from_utf8(suffix.as_bytes()).ok()?;
        match suffix.typ()? {
            psl::Type::Icann => return Some(known.split('.').count()),
            psl::Type::Private => rest = known.split_once('.')?.1.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_domains_as_the_reference_lists_them() {
        let all = |url: &'static str| {
            let found = host(url);
            (found, found.and_then(|host| domain(host, 0)), found.and_then(|host| domain(host, 1)))
        };
        assert_eq!(all(""), (None, None, None));
        assert_eq!(all("http://abc.xyz"), (Some("abc.xyz"), Some("xyz"), Some("abc.xyz")));
        assert_eq!(all("//user:password@a.b:80/path?query"), (Some("a.b"), None, None));
        assert_eq!(all("https://[::1]:80"), (Some("[::1]"), None, None));
        assert_eq!(all("    www.Example.Co.UK    "), (Some("www.Example.Co.UK"), Some("Co.UK"), Some("Example.Co.UK")));
        assert_eq!(all("mailto:?to=&subject=&body="), (Some("mailto"), None, None));
        assert_eq!(all("https://me.github.io/x#y"), (Some("me.github.io"), Some("io"), Some("github.io")));
        assert_eq!(all("http://1.2.3.4/"), (Some("1.2.3.4"), None, None));
        assert_eq!(all("..a.com"), (Some("a.com"), Some("com"), Some("a.com")));
        assert_eq!(all("x.a.com.."), (Some("x.a.com.."), Some("com."), Some("a.com.")));
        assert_eq!(all("x..a.com"), (Some("x..a.com"), Some("com"), Some("a.com")));
        assert_eq!(all("a..com"), (Some("a..com"), Some("com"), None));
        assert_eq!(all("..."), (None, None, None));
        assert_eq!(all("a.com\\x"), (Some("a.com"), Some("com"), Some("a.com")));
        assert_eq!((host("http://[::1"), host("http://[::1]x:80")), (Some("[::1"), Some("[::1]x")));
    }

    #[test]
    fn masks_have_their_first_bits_set() {
        assert_eq!(mask(4, 0), [0, 0, 0, 0]);
        assert_eq!(mask(4, 20), [0xFF, 0xFF, 0xF0, 0]);
        assert_eq!(mask(4, 32), [0xFF; 4]);
    }
}
