//! Hash functions: MD5, SHA1, SHA256, SHA512 and FARM_FINGERPRINT.

use md5::Digest as _;

use crate::error::Result;
use crate::functions::args::{any, string};
use crate::functions::{ScalarFunction, entry};
use crate::value::Value;

pub(crate) static TABLE: &[ScalarFunction] = &[
    entry!("hash_functions", "md5", "MD5", Propagate, ["(STRING) -> BYTES", "(BYTES) -> BYTES"], |_, args| {
        Ok(Value::bytes(md5::Md5::digest(input(args)?)))
    }),
    entry!("hash_functions", "sha1", "SHA1", Propagate, ["(STRING) -> BYTES", "(BYTES) -> BYTES"], |_, args| {
        Ok(Value::bytes(sha1::Sha1::digest(input(args)?)))
    }),
    entry!("hash_functions", "sha256", "SHA256", Propagate, ["(STRING) -> BYTES", "(BYTES) -> BYTES"], |_, args| {
        Ok(Value::bytes(sha2::Sha256::digest(input(args)?)))
    }),
    entry!("hash_functions", "sha512", "SHA512", Propagate, ["(STRING) -> BYTES", "(BYTES) -> BYTES"], |_, args| {
        Ok(Value::bytes(sha2::Sha512::digest(input(args)?)))
    }),
    entry!(
        "hash_functions",
        "farm_fingerprint",
        "FARM_FINGERPRINT",
        Propagate,
        ["(STRING) -> INT64", "(BYTES) -> INT64"],
        |_, args| Ok(Value::Int64(fingerprint64(input(args)?) as i64))
    ),
];

fn input(args: &[Value]) -> Result<&[u8]> {
    match any(args, 0) {
        Value::Bytes(bytes) => Ok(bytes),
        _ => string(args, 0).map(str::as_bytes),
    }
}

const K0: u64 = 0xc3a5_c85c_97cb_3127;
const K1: u64 = 0xb492_b66f_be98_f273;
const K2: u64 = 0x9ae1_6a3b_2f90_404f;

fn fetch64(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    if let Some(slice) = bytes.get(at..at + 8) {
        word.copy_from_slice(slice);
    }
    u64::from_le_bytes(word)
}

fn fetch32(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 4];
    if let Some(slice) = bytes.get(at..at + 4) {
        word.copy_from_slice(slice);
    }
    u64::from(u32::from_le_bytes(word))
}

fn shift_mix(value: u64) -> u64 {
    value ^ (value >> 47)
}

fn hash_len16(u: u64, v: u64, mul: u64) -> u64 {
    let a = shift_mix((u ^ v).wrapping_mul(mul));
    shift_mix((v ^ a).wrapping_mul(mul)).wrapping_mul(mul)
}

fn len_0_to_16(s: &[u8]) -> u64 {
    let len = s.len();
    let mul = K2.wrapping_add(len as u64 * 2);
    if len >= 8 {
        let a = fetch64(s, 0).wrapping_add(K2);
        let b = fetch64(s, len - 8);
        let c = b.rotate_right(37).wrapping_mul(mul).wrapping_add(a);
        let d = a.rotate_right(25).wrapping_add(b).wrapping_mul(mul);
        return hash_len16(c, d, mul);
    }
    if len >= 4 {
        let a = fetch32(s, 0);
        return hash_len16((len as u64).wrapping_add(a << 3), fetch32(s, len - 4), mul);
    }
    if len > 0 {
        let (a, b, c) = (u64::from(s[0]), u64::from(s[len >> 1]), u64::from(s[len - 1]));
        let y = a.wrapping_add(b << 8);
        let z = (len as u64).wrapping_add(c << 2);
        return shift_mix(y.wrapping_mul(K2) ^ z.wrapping_mul(K0)).wrapping_mul(K2);
    }
    K2
}

fn len_17_to_32(s: &[u8]) -> u64 {
    let len = s.len();
    let mul = K2.wrapping_add(len as u64 * 2);
    let a = fetch64(s, 0).wrapping_mul(K1);
    let b = fetch64(s, 8);
    let c = fetch64(s, len - 8).wrapping_mul(mul);
    let d = fetch64(s, len - 16).wrapping_mul(K2);
    hash_len16(
        a.wrapping_add(b).rotate_right(43).wrapping_add(c.rotate_right(30)).wrapping_add(d),
        a.wrapping_add(b.wrapping_add(K2).rotate_right(18)).wrapping_add(c),
        mul,
    )
}

fn len_33_to_64(s: &[u8]) -> u64 {
    let len = s.len();
    let mul = K2.wrapping_add(len as u64 * 2);
    let a = fetch64(s, 0).wrapping_mul(K2);
    let b = fetch64(s, 8);
    let c = fetch64(s, len - 8).wrapping_mul(mul);
    let d = fetch64(s, len - 16).wrapping_mul(K2);
    let y = a.wrapping_add(b).rotate_right(43).wrapping_add(c.rotate_right(30)).wrapping_add(d);
    let z = hash_len16(y, a.wrapping_add(b.wrapping_add(K2).rotate_right(18)).wrapping_add(c), mul);
    let e = fetch64(s, 16).wrapping_mul(mul);
    let f = fetch64(s, 24);
    let g = y.wrapping_add(fetch64(s, len - 32)).wrapping_mul(mul);
    let h = z.wrapping_add(fetch64(s, len - 24)).wrapping_mul(mul);
    hash_len16(
        e.wrapping_add(f).rotate_right(43).wrapping_add(g.rotate_right(30)).wrapping_add(h),
        e.wrapping_add(f.wrapping_add(a).rotate_right(18)).wrapping_add(g),
        mul,
    )
}

fn weak_hash32(s: &[u8], at: usize, mut a: u64, mut b: u64) -> (u64, u64) {
    let (w, x, y, z) = (fetch64(s, at), fetch64(s, at + 8), fetch64(s, at + 16), fetch64(s, at + 24));
    a = a.wrapping_add(w);
    b = b.wrapping_add(a).wrapping_add(z).rotate_right(21);
    let c = a;
    a = a.wrapping_add(x).wrapping_add(y);
    b = b.wrapping_add(a.rotate_right(44));
    (a.wrapping_add(z), b.wrapping_add(c))
}

/// FarmHash's Fingerprint64.
pub(crate) fn fingerprint64(s: &[u8]) -> u64 {
    let len = s.len();
    match len {
        0..=16 => return len_0_to_16(s),
        17..=32 => return len_17_to_32(s),
        33..=64 => return len_33_to_64(s),
        _ => {}
    }
    const SEED: u64 = 81;
    let mut x = SEED;
    let mut y = SEED.wrapping_mul(K1).wrapping_add(113);
    let mut z = shift_mix(y.wrapping_mul(K2).wrapping_add(113)).wrapping_mul(K2);
    let (mut v, mut w) = ((0u64, 0u64), (0u64, 0u64));
    x = x.wrapping_mul(K2).wrapping_add(fetch64(s, 0));
    let end = (len - 1) / 64 * 64;
    let last64 = len - 64;
    let mut at = 0;
    while at != end {
        x = x.wrapping_add(y).wrapping_add(v.0).wrapping_add(fetch64(s, at + 8)).rotate_right(37).wrapping_mul(K1);
        y = y.wrapping_add(v.1).wrapping_add(fetch64(s, at + 48)).rotate_right(42).wrapping_mul(K1);
        x ^= w.1;
        y = y.wrapping_add(v.0).wrapping_add(fetch64(s, at + 40));
        z = z.wrapping_add(w.0).rotate_right(33).wrapping_mul(K1);
        v = weak_hash32(s, at, v.1.wrapping_mul(K1), x.wrapping_add(w.0));
        w = weak_hash32(s, at + 32, z.wrapping_add(w.1), y.wrapping_add(fetch64(s, at + 16)));
        std::mem::swap(&mut z, &mut x);
        at += 64;
    }
    let mul = K1.wrapping_add((z & 0xff) << 1);
    let at = last64;
    w.0 = w.0.wrapping_add(((len - 1) & 63) as u64);
    v.0 = v.0.wrapping_add(w.0);
    w.0 = w.0.wrapping_add(v.0);
    x = x.wrapping_add(y).wrapping_add(v.0).wrapping_add(fetch64(s, at + 8)).rotate_right(37).wrapping_mul(mul);
    y = y.wrapping_add(v.1).wrapping_add(fetch64(s, at + 48)).rotate_right(42).wrapping_mul(mul);
    x ^= w.1.wrapping_mul(9);
    y = y.wrapping_add(v.0.wrapping_mul(9)).wrapping_add(fetch64(s, at + 40));
    z = z.wrapping_add(w.0).rotate_right(33).wrapping_mul(mul);
    v = weak_hash32(s, at, v.1.wrapping_mul(mul), x.wrapping_add(w.0));
    w = weak_hash32(s, at + 32, z.wrapping_add(w.1), y.wrapping_add(fetch64(s, at + 16)));
    std::mem::swap(&mut z, &mut x);
    hash_len16(
        hash_len16(v.0, w.0, mul).wrapping_add(shift_mix(y).wrapping_mul(K0)).wrapping_add(z),
        hash_len16(v.1, w.1, mul).wrapping_add(x),
        mul,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_productions() {
        assert_eq!(fingerprint64(b"a") as i64, -5_528_939_962_900_187_677);
        assert_eq!(fingerprint64(b"seed-42") as i64, -1_445_242_963_413_924_359);
        assert_eq!(fingerprint64(b"foo") as i64, 6_150_913_649_986_995_171);
    }

    #[test]
    fn every_length_has_a_fingerprint() {
        let text: Vec<u8> = (0..=255).collect();
        let all: std::collections::HashSet<u64> =
            (0..=text.len()).map(|length| fingerprint64(&text[..length])).collect();
        assert_eq!(all.len(), text.len() + 1);
    }
}
